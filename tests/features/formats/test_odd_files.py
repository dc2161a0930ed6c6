"""Feature files that stand for other files, or for more than they are, are refused by name."""

from __future__ import annotations

import io
import random
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.campaign.mutations.array_mutations import zeros_archive
from tests.campaign.mutations.hdf5_mutations import _add
from vmz.errors import VmzError
from vmz.features.formats.feature_files import load_features
from vmz.file_formats.numpy_files import read_npy, read_npz

h5py = pytest.importorskip("h5py")


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("external", "is stored in another file, '/etc/hostname', which is not read"),
        ("external link", "is an external link to .*, which is not followed; store the array itself"),
        ("soft link", "is a soft link, which is not followed"),
        ("virtual", "is a virtual dataset, of arrays in other files"),
        ("loop", "group 'group/back' appears twice, or contains itself"),
        ("compound", "has type .*, but features are numbers"),
        ("text", "has type 'object', but features are numbers"),
        ("reference", "but features are numbers"),
        ("huge", "would have .* bytes or more|not an HDF5 file of arrays"),
        ("null", "has no values"),
        ("named type", "is not an array"),
        ("bomb", "would have .* bytes or more"),
    ],
)
def test_hdf5(way: str, says: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["label"] = np.arange(3)
        _add(h5py, file, way, random.Random(1))
    with pytest.raises(VmzError, match=rf"a\.h5 is .*({says})"):
        load_features(tmp_path / "a.h5")


def test_honest_hdf5_of_groups_and_filters(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/b/softmax"] = np.ones((3, 2), np.float32)
        file.create_dataset("c", data=np.zeros((1000, 100), "f4"), compression="gzip", shuffle=True, fletcher32=True)
    assert {name: array.shape for name, array in load_features(tmp_path / "a.h5").items()} == {
        "a/b/softmax": (3, 2),
        "c": (1000, 100),
    }


def archive(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def packed(method: int) -> bytes:
    stream = io.BytesIO()
    member = io.BytesIO()
    np.save(member, np.zeros(3))
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("a.npy", member.getvalue())
    return stream.getvalue()


ENCRYPTED = re.sub(
    rb"(?s)(PK\x01\x02.{4}|PK\x03\x04.{2})\x00\x00", lambda m: m[1] + b"\1\0", archive(softmax=np.zeros(3))
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (ENCRYPTED, "its member 'softmax.npy' is encrypted"),
        (zeros_archive(), "it would have .* bytes unpacked, and .* is the most"),
        (packed(zipfile.ZIP_LZMA), "is packed in a way that numpy does not use"),
        (archive(a=np.array([{}], object)), "its array 'a': it contains Python objects"),
        (archive(a=np.zeros(2, "f4,i4")), "its array 'a': it has type"),
        (archive(a=np.zeros(3))[:-30], "is not a .npz of arrays, or is truncated"),
    ],
)
def test_npz(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(VmzError, match=rf"a\.npz is not a \.npz of arrays, or is truncated .*({says})|({says})"):
        read_npz(tmp_path / "a.npz", str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", "4000000000000 bytes, but it has 0"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904), }", ".* is not a shape"),
        ("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,), }", "has type '<U0'"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "(" * 3000, "which does not describe a plain array"),
        ("__import__('os').system('true')", "which cannot be read"),
        ("{'descr': '" + "f4," * 3000 + "', 'fortran_order': False, 'shape': (6,), }", "has type 'f4,f4"),
        ("x" * 20000, "its header has 20000 bytes"),
    ],
)
def test_npy(header: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(VmzError, match=says) as caught:
        read_npy(tmp_path / "a.npy", "a.npy")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array("val"), np.zeros((0, 4)),
        np.array(["größer", ""]), np.array([True]), np.arange(3, dtype=">f4"), np.float16(2) * np.ones((2, 1, 1)),
    ],
)  # fmt: skip
def test_what_numpy_writes_is_read_as_numpy_reads_it(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array)
    for found in (read_npy(tmp_path / "a.npy", "a"), read_npz(tmp_path / "a.npz", "a")["x"]):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype and found.shape == array.shape and found.flags.writeable
