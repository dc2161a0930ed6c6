from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vmz.checkpoints.tensors import Assembly, from_varints, serialise, to_varints
from vmz.errors import VmzError
from vmz.netdef.protos import BlobChunk

RANDOM = np.random.RandomState(0)
ARRAYS: dict[str, np.ndarray] = {
    "float32": RANDOM.randn(3, 4, 5).astype(np.float32),
    "float64": RANDOM.randn(7),
    "float16": np.array([1.5, -2, 65504, np.inf, 6e-8], np.float16),
    "int64": np.array([0, 1, -1, 2**62, -(2**63), 300], np.int64),
    "int32": np.array([[-5, 5], [2**31 - 1, -(2**31)]], np.int32),
    "uint8": np.arange(256, dtype=np.uint8),
    "int8": np.array([-128, 127], np.int8),
    "uint16": np.array([65535, 0], np.uint16),
    "int16": np.array([-32768, 5], np.int16),
    "bool": np.array([True, False]),
    "scalar": np.array(3, np.float32),
    "empty": np.zeros((0, 4), np.float32),
    "no integers": np.zeros(0, np.int64),
}


def chunks(array: np.ndarray, size: int = 1_000_000) -> list[Any]:
    return [BlobChunk.FromString(value).tensor for _, value in serialise("x", array, size)]


def assembled(tensors: list[Any], limit: int = 10_000) -> tuple[np.ndarray, list[str]]:
    assembly = Assembly(limit)
    for tensor in tensors:
        assembly.add("x", tensor)
    return assembly.arrays["x"], assembly.incomplete()


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_every_type_in_pieces_of_any_size_and_order(name: str, size: int) -> None:
    array = ARRAYS[name]
    found, incomplete = assembled(chunks(array, size)[::-1])
    assert found.dtype == array.dtype and found.shape == array.shape and not incomplete
    np.testing.assert_array_equal(found, array)
    found[...] = 0  # it is the caller's


def test_a_record_is_caffe2s() -> None:
    """What Caffe2 1.10.2 wrote for this array, but for its last field, data_format 0, which older ones lack."""
    [(key, value)] = serialise("w", np.array([[1, 2]], np.float32))
    assert key == "w#%0"
    assert value == bytes.fromhex(
        "0a0177" "120654656e736f72" "1a1d"
        "0801" "0802" "1001" "1a080000803f00000040" "3a0177" "42020800" "5a0408001002"
    )  # fmt: skip


def test_keys_of_pieces_and_their_segments() -> None:
    pieces = list(serialise("x", np.arange(10, dtype=np.float32), 4))
    assert [key for key, _ in pieces] == ["x#%0", "x#%1", "x#%2"]
    segments = [tensor.segment for tensor in chunks(np.arange(10, dtype=np.float32), 4)]
    assert [(segment.begin, segment.end) for segment in segments] == [(0, 4), (4, 8), (8, 10)]


def test_halves_as_bytes() -> None:
    [tensor] = chunks(ARRAYS["float16"])
    tensor.ClearField("int32_data")
    tensor.byte_data = ARRAYS["float16"].tobytes()
    np.testing.assert_array_equal(assembled([tensor])[0], ARRAYS["float16"])


def test_varints() -> None:
    values = np.array([0, 127, 128, 300, 2**63 - 1, -1, -(2**63)], np.int64)
    assert to_varints(values[:4]) == bytes([0, 127, 128, 1, 172, 2])
    np.testing.assert_array_equal(from_varints(to_varints(values)), values)
    assert from_varints(b"\x05\x80") is None


def test_pieces_that_are_missing_or_twice_there() -> None:
    pieces = chunks(np.arange(10, dtype=np.float32), 4)
    for wrong in (pieces[1:], pieces[:-1], [pieces[0], pieces[2]], [*pieces, pieces[0]]):
        assert assembled(wrong)[1] == ["x"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensor: tensor.ClearField("float_data"), "0 values, but 10 are expected"),
        (lambda tensor: setattr(tensor, "float_data", tensor.float_data[:-4]), "9 values, but 10 are expected"),
        (lambda tensor: setattr(tensor, "float_data", tensor.float_data[:-3]), "not a multiple of 4"),
        (lambda tensor: setattr(tensor, "data_type", 4), "data type 4"),
        (lambda tensor: tensor.dims.append(2**40), "needs more data than the file has"),
        (lambda tensor: tensor.dims.__setitem__(0, -1), "needs more data than the file has"),
        (lambda tensor: setattr(tensor.segment, "end", 11), "a different tensor"),
        (lambda tensor: setattr(tensor.segment, "begin", 3), "10 values, but 7 are expected"),
    ],
)
def test_a_damaged_piece(change: Any, says: str) -> None:
    [tensor] = chunks(np.arange(10, dtype=np.float32))
    change(tensor)
    with pytest.raises(VmzError, match=says):
        assembled([tensor])


def test_pieces_of_different_tensors() -> None:
    first, second = chunks(np.arange(4, dtype=np.float32), 2)[0], chunks(np.arange(6, dtype=np.float32), 2)[1]
    with pytest.raises(VmzError, match="a different tensor"):
        assembled([first, second])


def test_what_caffe2_has_no_tensor_for() -> None:
    for array in (np.zeros(2, complex), np.array(["a"]), np.zeros(2, np.uint64)):
        with pytest.raises(ValueError, match="blob x"):
            chunks(array)
