"""Old Caffe2 video programs on today's machine: `import vmz.legacy` as the first line of one installs the mends.

`python -m vmz.legacy SCRIPT ...` runs a program that is left as it is. The mends are in vmz.mends.
"""

from __future__ import annotations

import sys


def _is_run_as_a_command() -> bool:
    """Whether this is python -m vmz.legacy, which reads its own flags before it installs anything."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    # The outermost frame of `python -m X` is runpy's, and X is in it; that of a program is the program's.
    return frame.f_globals.get("__name__") == "runpy" and frame.f_locals.get("mod_name") == "vmz.legacy"


if not _is_run_as_a_command():
    from vmz.mends.start import start_for_running_program

    start_for_running_program()
