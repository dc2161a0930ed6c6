from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from vmz.checkpoints.minidb import records, write_minidb
from vmz.errors import UsageError, VmzError

ITEMS = {"a": b"first", "b#%0": b"", "c" * 300: bytes(range(256)) * 5}


def test_the_format_byte_by_byte(tmp_path: Path) -> None:
    write_minidb(tmp_path / "a.mdl", [("k", b"abc")])
    assert (tmp_path / "a.mdl").read_bytes() == b"\x01\0\0\0\x03\0\0\0kabc"


def test_round_trip_in_order(tmp_path: Path) -> None:
    write_minidb(tmp_path / "a.mdl", ITEMS)
    assert list(records(tmp_path / "a.mdl")) == list(ITEMS.items())


@needs_caffe2
def test_caffe2_reads_ours_and_we_read_caffe2s(tmp_path: Path) -> None:
    import numpy as np
    from caffe2.python import core, workspace

    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([7], np.int64)}
    for name, array in arrays.items():
        workspace.FeedBlob(name, array)
    theirs, ours = str(tmp_path / "theirs.mdl"), str(tmp_path / "ours.mdl")
    workspace.RunOperatorOnce(
        core.CreateOperator("Save", list(arrays), [], db=theirs, db_type="minidb", absolute_path=1)
    )
    found = dict(records(theirs))
    assert list(found) == ["x#%0", "n#%0"]
    write_minidb(ours, found)
    assert Path(ours).read_bytes() == Path(theirs).read_bytes()
    workspace.ResetWorkspace()
    workspace.RunOperatorOnce(core.CreateOperator("Load", [], list(arrays), db=ours, db_type="minidb", absolute_path=1))
    for name, array in arrays.items():
        np.testing.assert_array_equal(workspace.FetchBlob(name), array)


def test_cut_short_anywhere_but_between_records(tmp_path: Path) -> None:
    write_minidb(tmp_path / "a.mdl", ITEMS)
    content = (tmp_path / "a.mdl").read_bytes()
    whole: set[int] = set()
    for _ in records(tmp_path / "a.mdl"):
        whole.add(sum(8 + len(key) + len(value) for key, value in list(ITEMS.items())[: len(whole) + 1]))
    for length in range(1, len(content)):
        (tmp_path / "b.mdl").write_bytes(content[:length])
        if length in whole:
            assert len(list(records(tmp_path / "b.mdl"))) < len(ITEMS)
            continue
        with pytest.raises(VmzError, match=r"b\.mdl is (truncated|not a minidb)"):
            list(records(tmp_path / "b.mdl"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"This is a text file, not a database.\n", "not a minidb"),
        (b"\x80\x02}q\x00(U\x05blobs}", "not a minidb"),
        (b"\0\0\0\0\x03\0\0\0abc", "not a minidb"),
        (b"\x01\0\0\0\xff\xff\xff\xffk", "not a minidb"),
        (b"\x01\0\0\0\x03\0\0\0kabc" + bytes(20), "damaged at byte 12"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.mdl").write_bytes(content)
    with pytest.raises(VmzError, match=says) as caught:
        list(records(tmp_path / "a.mdl"))
    assert "a.mdl" in str(caught.value) and "\n" not in str(caught.value)


def test_no_such_file_and_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.mdl: No such file"):
        list(records(tmp_path / "none.mdl"))
    with pytest.raises(UsageError, match="it is not a regular file"):
        list(records(tmp_path))
    with pytest.raises(VmzError, match="record ''"):
        write_minidb(tmp_path / "a.mdl", [("", b"x")])
    assert not list(tmp_path.iterdir())
