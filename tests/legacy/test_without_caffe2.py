"""vmz.legacy in a Python that has no Caffe2: it says where there is one."""

from __future__ import annotations

from tests.engines.real_caffe2 import without_caffe2
from tests.legacy.running import PROGRAMS, legacy


@without_caffe2
def test_without_caffe2_it_says_where_there_is_one() -> None:
    ran = legacy(PROGRAMS / "our_lib" / "tools" / "evaluate.py")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("vmz.legacy: this Python has no Caffe2; ")
