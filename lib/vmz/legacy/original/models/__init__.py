"""The networks by the original's names, on the caller's model helper of Caffe2."""

import sys
from pathlib import Path

_LIB = str(Path(__file__).resolve().parents[4])
if "vmz" not in sys.modules and _LIB not in sys.path:  # only the folder of these two is on PYTHONPATH
    sys.path.insert(0, _LIB)

from vmz.engines.caffe2_engine.programs import need_caffe2  # noqa: E402

need_caffe2()
