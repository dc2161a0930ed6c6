from __future__ import annotations

from pathlib import Path

import pytest

from vmz import cores


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (cores.OMP, cores.MKL):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 6), ("?", 6), ("", 6), ("1 0", 6)],
)
def test_available_cores(quota: str, count: int) -> None:
    cores.QUOTA.write_text(quota)
    assert cores.available_cores() == count


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("3,2", 3), ("", None), ("all", None), ("0", None)])
def test_threads_asked(monkeypatch: pytest.MonkeyPatch, text: str, count: int) -> None:
    monkeypatch.setenv(cores.OMP, text)
    assert cores.threads_asked() == count


def test_use_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {cores.MKL: "5"}
    monkeypatch.setattr(cores.os, "environ", environment)
    assert cores.use_threads() == 6 and environment == {cores.OMP: "6", cores.MKL: "5"}
    monkeypatch.setattr(cores.sys, "modules", {})
    assert cores.use_threads(2) == 2 and environment == {cores.OMP: "2", cores.MKL: "2"}


@pytest.mark.parametrize(
    ("omp", "mkl", "given"), [(None, None, (6, 6)), ("2", None, (2, 2)), (None, "3", (6, 3)), ("2", "1", (2, 1))]
)
def test_caffe2_arguments(monkeypatch: pytest.MonkeyPatch, omp: str, mkl: str, given: tuple[int, int]) -> None:
    for variable, value in ((cores.OMP, omp), (cores.MKL, mkl)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert cores.caffe2_arguments() == [f"--caffe2_omp_num_threads={given[0]}", f"--caffe2_mkl_num_threads={given[1]}"]
