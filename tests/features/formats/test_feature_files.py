"""Feature files: what is written is what is read, by us and by the plain readers, without holding it in memory."""

from __future__ import annotations

import pickle
import pickletools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vmz.errors import UsageError, VmzError
from vmz.features.formats import pickled
from vmz.features.formats.feature_files import (
    HDF5,
    NPY,
    NPZ,
    PICKLE,
    check_writable,
    format_of,
    load_features,
    save_features,
)
from vmz.features.formats.table import ArrayTable, squeezed

FORMATS = [(NPZ, ".npz"), (PICKLE, ".pkl"), pytest.param(HDF5, ".h5")]


def arrays() -> dict[str, np.ndarray]:
    random = np.random.RandomState(0)
    return {
        "final_avg": random.randn(9, 4, 1, 1, 1).astype(np.float32),
        "label": random.randint(0, 9, 9).astype(np.int32),
        "video_id": np.arange(9, dtype=np.int64) + (1 << 40),
        "flags": random.randint(0, 2, (9, 3)).astype(np.uint8),
        "none": np.zeros((9, 0), np.float32),
    }


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array), name


@pytest.mark.parametrize(("form", "ending"), FORMATS)
def test_round_trip(form: str, ending: str, tmp_path: Path) -> None:
    if form == HDF5:
        pytest.importorskip("h5py")
    path = tmp_path / f"a{ending}"
    save_features(path, ArrayTable(arrays()), form)
    assert format_of(path) == form
    assert_same(load_features(path), arrays())


@pytest.mark.parametrize("name", ["final_avg", "label", "none"])
def test_an_npy_is_an_npy(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    save_features(path, ArrayTable({name: arrays()[name]}), format_of(path))
    assert_same({name: np.load(path, allow_pickle=False)}, {name: arrays()[name]})
    assert_same(load_features(path), {"features": arrays()[name]})


def test_an_npy_holds_one_array(tmp_path: Path) -> None:
    for refuse in (
        lambda: check_writable(tmp_path / "a.npy", NPY, ["final_avg", "label"]),
        lambda: save_features(tmp_path / "a.npy", ArrayTable(arrays()), NPY),
    ):
        with pytest.raises(UsageError, match=r"contains one array, but \d blobs .*\(final_avg, label.*\.npz"):
            refuse()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "ending"), FORMATS)
def test_a_file_is_read_by_what_it_holds(form: str, ending: str, tmp_path: Path) -> None:
    """--save_h5=1 takes any name, and a .npy of before is a pickle."""
    for name in ("a", "a.pkl", "a.npy", "a.npz", "a.1"):
        save_features(tmp_path / name, ArrayTable(arrays()), form)
        assert_same(load_features(tmp_path / name), arrays())


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.mat", "a.PT", "a.parquet", "a.json"])
def test_names_of_what_we_do_not_write_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"is not a file format of features; choose \.npz, \.npy \(one blob\), \.h5 or \.pkl"
    ):
        check_writable(tmp_path / name, format_of(name))
    with pytest.raises(UsageError, match="is not HDF5, which --save_h5=1 writes"):
        check_writable(tmp_path / name, HDF5)
    for other in ("a", "a.pkl", "features.v2"):
        check_writable(tmp_path / other, format_of(other))
        check_writable(tmp_path / other, HDF5)
    for other in ("a.npy", "a.npz"):
        with pytest.raises(UsageError, match="is not HDF5"):
            check_writable(tmp_path / other, HDF5)


def test_squeezed_keeps_rows_and_channels() -> None:
    for shape, wanted in (
        ((4, 7, 1, 1, 1), (4, 7)), ((1, 1, 1, 1, 1), (1, 1)), ((4, 7, 1, 5, 5), (4, 7, 5, 5)), ((4,), (4,)),
        ((4, 1), (4, 1)), ((4, 1, 2, 1, 3), (4, 1, 2, 3)), ((4, 0), (4, 0)),
    ):  # fmt: skip
        array = np.arange(np.prod(shape)).reshape(shape)
        found = squeezed(array)
        assert found.shape == wanted and np.array_equal(found.ravel(), array.ravel())


@pytest.mark.parametrize("largest", [pickled.LARGEST_TEXT, 10])
def test_plain_pickle_reads_ours(largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """largest 10: as content too large for Python 2's pickles is written."""
    monkeypatch.setattr(pickled, "LARGEST_TEXT", largest)
    save_features(tmp_path / "a.pkl", ArrayTable(arrays()), PICKLE)
    content = (tmp_path / "a.pkl").read_bytes()
    assert_same(pickle.loads(content), arrays())
    assert_same(load_features(tmp_path / "a.pkl"), arrays())
    newest = max(opcode.proto for opcode, _, _ in pickletools.genops(content))
    assert newest == (2 if largest > 10 else 4)


class Endless:
    """200 MB of rows that are made as they are asked for."""

    ROWS = 50_000

    def names(self) -> list[str]:
        return ["x"]

    def dtype(self, name: str) -> np.dtype:
        return np.dtype(np.float32)

    def shape(self, name: str) -> tuple[int, ...]:
        return (self.ROWS, 1000)

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        for start in range(0, self.ROWS, 1000):
            yield np.full((1000, 1000), start, np.float32)


@pytest.mark.parametrize(("form", "ending"), FORMATS)
def test_writing_takes_no_memory(form: str, ending: str, tmp_path: Path) -> None:
    if form == HDF5:
        pytest.importorskip("h5py")
    tracemalloc.start()
    try:
        save_features(tmp_path / "a", Endless(), form)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a").stat().st_size >= 200_000_000 and peak < 50_000_000, peak


def python2_pickle() -> bytes:
    """{'label': array([3, 1], 'i4'), 'video_id': [7, 8], 'softmax': array([[.5, .5]] twice)} of protocol 2, as text."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01%scnumpy\ndtype\nU\x02%s"
        b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U%c%stb"
    )
    label = array % (b"K\x02\x85", b"i4", 8, np.array([3, 1], "<i4").tobytes())
    softmax = array % (b"K\x02K\x02\x86", b"f4", 16, np.full(4, -0.5, "<f4").tobytes())
    return b"\x80\x02}(U\x05label" + label + b"U\x08video_id](K\x07K\x08eU\x07softmax" + softmax + b"u."


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(python2_pickle())
    found = load_features(tmp_path / "a.pkl")
    assert found["label"].tolist() == [3, 1] and found["video_id"].tolist() == [7, 8]
    assert found["softmax"].tolist() == [[-0.5, -0.5]] * 2 and found["softmax"].dtype == np.float32


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        ("a.pkl", python2_pickle()[:-9], "truncated"),
        ("a.pkl", pickle.dumps([1, 2]), "contains a list"),
        ("a.pkl", pickle.dumps({"x": "text"}), "x is not an array"),
        ("a.pkl", pickle.dumps({"x": [np.zeros(2), np.zeros(3)]}), "x is not an array"),
        ("a.npz", b"PK\x03\x04 nothing more", "not a .npz"),
        ("a.npz", b"", "not a .npz"),
        ("a.npy", b"\x93NUMPY\x01\x00 nothing more", "not a .npy of an array, or is truncated"),
        ("a.npy", b"", "not a .npy of an array"),
        ("a.npy", b"text", "not a .npy of an array"),
    ],
)
def test_bad_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VmzError, match=message):
        load_features(tmp_path / name)


def test_a_bad_hdf5_file(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "a.h5").write_bytes(b"no such thing")
    with pytest.raises(VmzError, match="not an HDF5 file"):
        load_features(tmp_path / "a.h5")


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no such feature file"):
        load_features(tmp_path / "a.pkl")
    with pytest.raises(UsageError, match="is a folder"):
        check_writable(tmp_path, NPZ)
    with pytest.raises(UsageError, match="not a folder that can be written"):
        check_writable(tmp_path / "b" / "a.npz", NPZ)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UsageError, match=r'needs h5py: pip install "vmz\[hdf5\]"'):
        check_writable(tmp_path / "a.h5", HDF5)
