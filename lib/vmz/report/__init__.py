"""Pages that a run shows a person: self-contained HTML, nothing fetched, read in a browser, on a phone or on paper.

`page` renders a template with the one style and the one script; `evaluation`, `training` and `comparison` are pages.
They take data: whoever has a run's results and scores can make its page.
"""
