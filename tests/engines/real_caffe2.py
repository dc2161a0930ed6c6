"""Whether this Python has real Caffe2, and our operators for it; the tests that need them skip elsewhere."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from vmz.engines.caffe2_engine.surroundings import OPS_LIBRARY

HAS_CAFFE2 = importlib.util.find_spec("caffe2") is not None
HAS_OPERATORS = HAS_CAFFE2 and Path(os.environ.get("VMZ_OPS_LIBRARY", OPS_LIBRARY)).is_file()

needs_caffe2 = pytest.mark.skipif(not HAS_CAFFE2, reason="no Caffe2 in this Python: make setup-caffe2")
needs_operators = pytest.mark.skipif(not HAS_OPERATORS, reason=f"no Caffe2 with {OPS_LIBRARY}: make setup-caffe2")
without_caffe2 = pytest.mark.skipif(HAS_CAFFE2, reason="this Python has Caffe2")
ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_operators)]
