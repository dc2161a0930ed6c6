"""The goldens of the repository: enough to judge by, small enough to clone, and the same as the full set's."""

import filecmp

import pytest

from tests.goldens.recordings import GOLDEN, OWN, golden_names, golden_path, needs_shared, video_path


def test_the_repository_holds_nets_training_runs_and_reader_cases():
    own = [str(path.relative_to(OWN)) for path in OWN.rglob("*") if path.is_file()]
    assert sum((OWN / name).stat().st_size for name in own) < 8_000_000
    assert sum(name.startswith("nets/net_") for name in own) == 113
    assert sum(name.startswith("nets/trainnet_") for name in own) == 30
    assert sum(name.startswith("nets/testnet_") for name in own) == 12
    assert sum(name.startswith("train/") for name in own) == 3
    assert sum(name.startswith("reader/") and name.endswith((".mp4", ".avi")) for name in own) == 3
    assert sum(name.startswith("av/reader/") for name in own) == 6  # two files, their cases and arrays


@needs_shared
def test_they_are_the_same_as_in_the_full_set():
    folders = [OWN / name for name in ("nets", "reader", "train", "av")]  # beside them lies what was measured with them
    names = [str(path.relative_to(OWN)) for folder in folders for path in folder.rglob("*") if path.is_file()]
    here = [name for name in names if (GOLDEN / name).exists()]
    assert len(here) == len(names)
    assert filecmp.cmpfiles(OWN, GOLDEN, names, shallow=False)[0] == names


def test_what_is_absent_skips_and_in_ci_fails(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"nowhere\.json is not here"):
        golden_path("e2e/nowhere.json")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match=r"the video nowhere\.mp4 is neither"):
        video_path("nowhere.mp4")


def test_names_are_those_of_both_places():
    assert golden_names("train/*.json")[0] == "train/ircsn26_pool1.json"
