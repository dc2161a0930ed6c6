"""The short form of the campaign: files gone wrong of every kind, each read in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.campaign.isolated import ACCEPTED, REFUSED, Outcome, _judged, row
from tests.campaign.mutations.checkpoint_mutations import PICKLE_BOMBS, pickles
from tests.campaign.surfaces import READERS, SURFACES, Surface

pytest.importorskip("h5py")
INPUTS, READ = 20, 10


FILES = [surface for surface in SURFACES if surface not in READERS]


def rows_of(*options: str, status: int = 0) -> list[list[str]]:
    """The table that the campaign prints, without its head; a row's name is what comes before its 5 numbers."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.campaign.isolated", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == status, done.stdout + done.stderr
    return [row.rsplit(None, 5) for row in done.stdout.splitlines()[2:]]


@pytest.mark.long
def test_no_file_ends_in_a_fault() -> None:
    *rows, whole = rows_of(f"--inputs={INPUTS}", "--seed=7", *(f"--surface={surface.name}" for surface in FILES))
    assert [row[0].strip() for row in rows] == [surface.name for surface in FILES]
    assert whole[:2] == ["all", str(INPUTS * len(FILES))] and whole[4] == "0"
    assert int(whole[2]) > INPUTS and int(whole[3]) > 5 * INPUTS  # some good files pass, most are refused


@pytest.mark.long
@pytest.mark.parametrize("surface", READERS, ids=lambda surface: surface.name)
def test_both_readers_find_the_same(surface: Surface) -> None:
    *rows, whole = rows_of(f"--inputs={READ}", "--seed=6", f"--surface={surface.name}")
    assert [row[0] for row in rows] == [f"{surface.name} {engine}" for engine in surface.engines]
    assert whole[4] == "0" and all(int(row[2]) > 1 and int(row[3]) > 1 for row in rows)


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
        (
            1 << 8,
            1000,
            "internal error: KeyError: 'a'. This is a bug in VMZ; rerun with --debug for a traceback\n",
            "unclean",
        ),
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
    assert row("x", [outcome, Outcome(ACCEPTED, "")]).split()[-2] == str(int(outcome.is_fault))
