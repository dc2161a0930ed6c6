"""--report: predictions as a page."""

from __future__ import annotations

from vmz.prediction.run import Predictions
from vmz.report.page import write
from vmz.report.prediction import Frame, page


def write_report(found: Predictions) -> None:
    """Write the page to --report, whole or not at all."""
    html = page(
        predictions=found.videos,
        frames={
            video: [Frame.of(picture.strip, picture.attention_strip, picture.span) for picture in pictures]
            for video, pictures in found.pictures.items()
        },
        skipped=[(one.video, one.reason) for one in found.skipped],
        model=found.model,
        settings=found.config.flags(),
        environment=found.environment,
        seconds=found.seconds["run"],
        attention=bool(found.config.attention),
    )
    write(str(found.config.report), html)
