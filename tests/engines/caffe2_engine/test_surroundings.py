"""What Caffe2 needs around it before it is imported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmz.engines.caffe2_engine import surroundings
from vmz.engines.caffe2_engine.surroundings import OPS_LIBRARY, choose_mkl_path, operator_library
from vmz.errors import UsageError


def test_the_library_is_the_clones_or_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert OPS_LIBRARY.relative_to(Path(__file__).resolve().parents[3]) == Path("build/ops/libvmz_ops.so")
    named = tmp_path / "other.so"
    monkeypatch.setenv("VMZ_OPS_LIBRARY", str(named))
    with pytest.raises(UsageError, match=f"no operator library at {named}; ops/build.sh builds it, or VMZ_OPS_LIBRARY"):
        operator_library()
    named.write_bytes(b"")
    assert operator_library() == named


@pytest.mark.parametrize("amd, before, after", [(True, None, "5"), (True, "7", "7"), (False, None, None)])
def test_mkl_is_told_on_amd_alone(monkeypatch: pytest.MonkeyPatch, amd: bool, before: str, after: str) -> None:
    monkeypatch.setattr(surroundings, "_is_amd", lambda: amd)
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "")  # so that what was there comes back in the end
    monkeypatch.delenv("MKL_DEBUG_CPU_TYPE")
    if before:
        monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", before)
    assert choose_mkl_path() is (amd and before is None)
    assert os.environ.get("MKL_DEBUG_CPU_TYPE") == after
