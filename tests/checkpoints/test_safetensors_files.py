from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from vmz.checkpoints.loading import file_type, load, save
from vmz.errors import UsageError, VmzError

WEIGHTS = {
    "conv1_w": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    "turned": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "half": np.ones(3, np.float16),
    "count": np.array(7, np.int64),
    "none": np.empty((0, 3), np.float32),
}


def written(header: object, numbers: bytes = bytes(8)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def test_there_and_back(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    save(tmp_path / "a.safetensors", WEIGHTS, about={"labels": ["x"]})
    found = load(tmp_path / "a.safetensors")
    assert file_type(tmp_path / "a.safetensors") == "safetensors" and found.about == {"labels": ["x"]}
    theirs = package.load_file(tmp_path / "a.safetensors")
    assert sorted(found.blobs) == sorted(theirs) == sorted(WEIGHTS)
    for name, array in WEIGHTS.items():
        assert found.blobs[name].dtype == theirs[name].dtype == array.dtype
        np.testing.assert_array_equal(found.blobs[name], array)
        np.testing.assert_array_equal(theirs[name], array)
    save(tmp_path / "b.bin", WEIGHTS, "safetensors")
    assert load(tmp_path / "b.bin").about == {} and len(load(tmp_path / "b.bin").blobs) == 5


def test_bfloat16_is_read_as_float32(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    header = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    (tmp_path / "a.safetensors").write_bytes(written(header, struct.pack("<2H", 0x3FC0, 0xC000)))
    np.testing.assert_array_equal(load(tmp_path / "a.safetensors").blobs["a"], np.array([1.5, -2], np.float32))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (written({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}), "is not a safetensors file, or is"),
        (written({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(7)), "or is truncated"),
        (written({"a": {"dtype": "F32", "shape": [1 << 62, 8], "data_offsets": [0, 8]}}), "is not a safetensors"),
        (written({"a": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}}), "tensor 'a' has type 'F8_E4M3'"),
        (written({"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}), "'C64'|is not a safetensors"),
        (written({"__metadata__": {"vmz": "{"}}, b""), "its stored description is not JSON"),
        (written({"__metadata__": {"vmz": '{"protocol": 3}'}}, b""), "its stored description is not as expected"),
        (struct.pack("<Q", 1 << 31) + b"{}", "is not a safetensors file"),
        (struct.pack("<Q", 12) + b'{"a":[[[[[[[', "is not a safetensors file"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, says: str) -> None:
    pytest.importorskip("safetensors")
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(VmzError, match=says) as caught:
        load(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{tmp_path}/a.safetensors")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.safetensors").write_bytes(written({}, b""))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for work in (lambda: load(tmp_path / "a.safetensors"), lambda: save(tmp_path / "b.safetensors", WEIGHTS)):
        with pytest.raises(UsageError, match=r'needs safetensors: pip install "vmz\[hub\]"'):
            work()
    assert not (tmp_path / "b.safetensors").exists()
