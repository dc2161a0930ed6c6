"""The soak: what it sees, and a short one on each engine that is here, stopped in between as by Ctrl-Z."""

from __future__ import annotations

import pytest

from tests.campaign.__main__ import input_row, run_row, soak_row
from tests.campaign.soak import MOST_RISE, Sample, faults, rise, soak
from tests.engines.real_caffe2 import HAS_OPERATORS


def samples(memory_a_clip: float = 0, handles: int = 6, late_threads: int = 2) -> list[Sample]:
    return [
        Sample(clips, int(4e8 + memory_a_clip * clips), 1000, handles, late_threads if clips > 70_000 else 2)
        for clips in range(0, 100_001, 2000)
    ]


def test_what_grows_is_seen() -> None:
    assert not faults(samples()) and not faults(samples(100))
    assert rise(samples(100)) == pytest.approx(100 * 50_000, rel=0.05)
    [memory] = faults(samples(1.1 * MOST_RISE / 48_000))
    assert memory.startswith("memory rises by")
    assert faults(samples(late_threads=3)) == ["threads rise from 2 to 3 over the second half"]


@pytest.mark.long
@pytest.mark.parametrize(
    "engine", ["pytorch", pytest.param("caffe2", marks=pytest.mark.skipif(not HAS_OPERATORS, reason="no real Caffe2"))]
)
def test_a_short_soak(engine: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = soak(engine, 300, tmp_path, quiet=True)
    assert found["clips"] >= 300 and not [fault for fault in found["faults"] if fault.startswith("pass")]
    reported = found["ways"]["uniform"]["reported"]
    assert len(reported) == 10 and "record 021: not a video that can be opened (it is an ffconcat list" in str(reported)


def test_rows_are_read_from_what_the_parts_print() -> None:
    row = input_row("features npz         500       40           458       2       0", "pytorch", 3.0)
    assert row is not None and (row.surface, row.inputs, row.accepted, row.faults) == ("features npz", 500, 40, 2)
    record = input_row("record pytorch        20        5            15       0       4", "caffe2", 1.0)
    assert record is not None and record.surface == "record (pytorch)" and "4 left out" in record.notes[0]
    assert input_row("all   10 1 9 0 0", "pytorch", 0) is None and input_row("seed 1", "pytorch", 0) is None
    run = run_row("train              pytorch  kill               50     50       0      120", "pytorch", 0)
    assert run is not None and (run.inputs, run.accepted, run.faults, run.seconds) == (50, 50, 0, 120)
    soaked = soak_row("soak, caffe2: 2063 clips in 29 passes, 6 s; MB 1/2/3; threads 1 -> 1; 0 faults", "caffe2", 6.0)
    assert soaked is not None and (soaked.inputs, soaked.faults) == (2063, 0)
