"""The short form of the campaign: files gone wrong of every kind, each read in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.campaign.isolated import ACCEPTED, REFUSED, Outcome, _judged, row
from tests.campaign.mutations import PICKLE_BOMBS, pickles
from tests.campaign.surfaces import SURFACES

pytest.importorskip("h5py")
INPUTS = 20


def test_no_file_ends_in_a_fault() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.campaign.isolated", f"--inputs={INPUTS}", "--seed=7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = done.stdout.splitlines()[2:]
    assert len(rows) == len(SURFACES) + 1
    whole = rows[-1].split()
    assert whole[:2] == ["all", str(INPUTS * len(SURFACES))] and whole[-1] == "0"
    assert int(whole[2]) > INPUTS and int(whole[3]) > 5 * INPUTS  # some good files pass, most are refused


def test_the_same_seed_makes_the_same_files() -> None:
    for surface in SURFACES:
        if "HDF5" not in surface.name:  # it writes the time into its files
            assert surface.make(3, 40) == surface.make(3, 40)
    assert pickles(3, 40) != pickles(4, 40) and pickles(3, 0) == PICKLE_BOMBS[0]


@pytest.mark.parametrize(
    ("status", "kilobytes", "said", "what"),
    [
        (0, 1000, "", ACCEPTED),
        (1 << 8, 1000, "error: a.pkl is refused: it nests\n", REFUSED),
        (1 << 8, 1000, "error: KeyError: 'a'; a fault of VMZ: run again with --debug to see where\n", "unclean"),
        (1 << 8, 1000, "Traceback (most recent call last):\n", "unclean"),
        (1 << 8, 1000, "error: a\nerror: b\n", "not one sentence"),
        (1 << 8, 1000, "error: name \u202e\n", "not one sentence"),
        (1 << 8, 1000, f"error: {'x' * 9999}\n", "endless sentence"),
        (99 << 8, 1000, "", "unclean"),
        (0, 3 << 20, "", "memory"),
        (9, 1000, "", "hang"),
        (11, 1000, "", "SIGSEGV"),
    ],
)
def test_faults_are_seen(status: int, kilobytes: int, said: str, what: str) -> None:
    class Usage:
        ru_maxrss = kilobytes

    outcome = _judged(status, Usage(), said)  # type: ignore[arg-type]
    assert outcome.what == what and outcome.is_fault == (what not in (ACCEPTED, REFUSED))
    assert row("x", [outcome, Outcome(ACCEPTED, "")]).split()[-1] == str(int(outcome.is_fault))
