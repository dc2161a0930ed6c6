"""The networks by the original's names, on the caller's model helper of Caffe2."""

import sys
from pathlib import Path

try:
    import vmz  # noqa: F401
except ImportError:  # this folder alone is on PYTHONPATH
    sys.path.append(str(Path(__file__).resolve().parents[4]))

from vmz.engines.caffe2_programs import need_caffe2

need_caffe2()
