"""State dicts as torch.save writes them, in both of its forms, and files that only look so."""

from __future__ import annotations

import argparse
import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vmz.checkpoints.loading import file_type, load, save
from vmz.checkpoints.torch_files import read_state_dict, save_torch
from vmz.errors import UsageError, VmzError

FORMS = pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])


def state() -> dict[str, Any]:
    """Every kind of tensor that a state dict may have."""
    module = torch.nn.Sequential(torch.nn.Conv3d(2, 3, 3), torch.nn.BatchNorm3d(3))
    shared = torch.arange(24.0).reshape(2, 3, 4)
    return OrderedDict(
        [
            *module.state_dict().items(),
            ("turned", shared.permute(2, 0, 1)),
            ("part", shared[1, 1:, ::2]),
            ("same", shared),
            ("half", torch.randn(3).half()),
            ("brain", torch.tensor([1.0, -2.5, 3e38]).bfloat16()),
            ("double", torch.randn(2, dtype=torch.float64)),
            ("whole", torch.tensor([[-1, 2**40]])),
            ("bytes", torch.tensor([0, 255], dtype=torch.uint8)),
            ("flags", torch.tensor([True, False])),
            ("empty", torch.empty(0, 3)),
            ("one", torch.tensor(3.5)),
            ("parameter", torch.nn.Parameter(torch.randn(2, 2))),
        ]
    )


def saved(content: Any, old: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


@FORMS
@pytest.mark.parametrize("inside", ["", "state_dict", "model", "model/state_dict"])
def test_every_tensor_comes_back(tmp_path: Path, old: bool, inside: str) -> None:
    wanted = state()
    content: Any = wanted
    for name in reversed(inside.split("/") if inside else []):
        content = {"epoch": 3, "best": np.float64(0.5), "optimizer": {"exp": torch.ones(9)}, name: content}
    (tmp_path / "a.pth").write_bytes(saved(content, old))
    found = read_state_dict(tmp_path / "a.pth")
    assert list(found.tensors) == list(wanted) and found.about == {}
    assert found.others == ("epoch", "best", "optimizer") * len(inside.split("/") if inside else [])
    for key, tensor in wanted.items():
        expected = tensor.detach().float().numpy() if key == "brain" else tensor.detach().numpy()
        assert found.tensors[key].dtype == expected.dtype and found.tensors[key].shape == expected.shape
        np.testing.assert_array_equal(found.tensors[key], expected)


def test_what_is_written_is_read_here_and_by_pytorch(tmp_path: Path) -> None:
    blobs = {"conv1_w": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "scale": np.array(2.0, np.float32)}
    save(tmp_path / "a.pth", blobs, about={"labels": ["x"]})
    assert file_type(tmp_path / "a.pth") == "pytorch" and load(tmp_path / "a.pth").about == {"labels": ["x"]}
    theirs = torch.load(tmp_path / "a.pth")
    for name, array in blobs.items():
        np.testing.assert_array_equal(load(tmp_path / "a.pth").blobs[name], array)
        np.testing.assert_array_equal(theirs[name].numpy(), array)
    save_torch(tmp_path / "b.pt", blobs)
    assert load(tmp_path / "b.pt").about == {}
    (tmp_path / "a.pth").rename(tmp_path / "model.bin")
    assert sorted(load(tmp_path / "model.bin").blobs) == sorted(blobs)  # the content tells
    (tmp_path / "model.bin").rename(tmp_path / "model.pkl")
    with pytest.raises(UsageError, match=r"as its extension, \.pkl, says, but a pytorch; give --db_type=pytorch"):
        load(tmp_path / "model.pkl")
    assert sorted(load(tmp_path / "model.pkl", "pytorch").blobs) == sorted(blobs)


class Evil:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit(3)",)


REFUSED: dict[str, tuple[Any, str]] = {
    "a call": ({"state_dict": {"a": torch.ones(2)}, "x": Evil()}, r"asks for \w+\.exec"),
    "a namespace": ({"model": {"a": torch.ones(2)}, "args": argparse.Namespace(lr=1)}, r"creates an object|Namespace"),
    "complex": ({"a": torch.ones(2, dtype=torch.complex64)}, r"PyTorch \(torch\.ComplexFloatStorage\)"),
    "sparse": ({"a": torch.eye(3).to_sparse()}, r"PyTorch \(torch\._utils\._rebuild_sparse_tensor\)"),
    "no state dict": ({"epoch": 3, "lr": 0.1}, r"no state dict under state_dict, .*, but epoch, lr"),
    "a tensor": (torch.ones(2), "no dict of tensors by name, but a _Tensor"),
    "a list": ([torch.ones(2)], "no dict of tensors by name, but a list"),
    "text in it": ({"a": torch.ones(2), "b": "text"}, "its entry 'b' is a str"),
    "a number as a name": ({3: torch.ones(2)}, "no dict of tensors|its entry|not a state dict"),
}


@FORMS
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, name: str, old: bool) -> None:
    content, says = REFUSED[name]
    (tmp_path / "a.pth").write_bytes(saved(content, old))
    with pytest.raises(VmzError, match=says) as caught:
        read_state_dict(tmp_path / "a.pth")
    assert str(caught.value).startswith(f"{tmp_path}/a.pth is refused: ") and "\n" not in str(caught.value)


@FORMS
def test_truncated_files(tmp_path: Path, old: bool) -> None:
    whole = saved({"a": torch.randn(100), "b": torch.randn(100)}, old)
    for length in (len(whole) - 1, len(whole) - 300, len(whole) // 2, 200, 30):
        (tmp_path / "a.pth").write_bytes(whole[:length])
        with pytest.raises(VmzError):
            load(tmp_path / "a.pth")


def pickled(size: Any, stride: Any = (1,), offset: Any = 0, numel: Any = 4, key: Any = "0") -> bytes:
    """data.pkl with one tensor, described at will."""

    class Persistent(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ("storage", torch.FloatStorage, key, "cpu", numel) if isinstance(value, bytearray) else None

    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (bytearray(), offset, size, stride, False, OrderedDict())

    stream = io.BytesIO()
    Persistent(stream, 2).dump({"a": Tensor()})
    return stream.getvalue()


def archive(members: dict[str, bytes], **keywords: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **keywords) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        ({"size": (5,)}, r"shape \(5,\) in a storage of 4 numbers"),
        ({"size": (2, 2), "stride": (3, 1)}, "in a storage of 4 numbers"),
        ({"size": (2,), "offset": 3}, "in a storage of 4 numbers"),
        ({"size": (-1,)}, "not an array of numbers in a storage"),
        ({"size": (2,), "stride": (-1,)}, "not an array of numbers"),
        ({"size": (2, 2)}, r"shape \(2, 2\) and strides \(1,\)"),
        ({"size": (1 << 40,), "stride": (0,)}, "the most for a file of its size"),
        ({"size": (1,) * 40, "stride": (1,) * 40}, "it contains a tensor of shape"),
        ({"size": (2,), "numel": 1 << 30}, "storage '0' is truncated"),
        ({"size": (2,), "key": "1"}, "storage '1' is not in the file"),
        ({"size": (2,), "numel": -1}, "a storage that is not of numbers"),
        ({"size": (True,)}, "not an array of numbers"),
    ],
)
def test_tensors_that_lie(tmp_path: Path, tensor: dict[str, Any], says: str) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(archive({"m/data.pkl": pickled(**tensor), "m/data/0": bytes(16)}))
    with pytest.raises(VmzError, match=says):
        read_state_dict(path)


def test_archives_that_lie(tmp_path: Path) -> None:
    path, good = tmp_path / "a.pth", pickled((4,))
    path.write_bytes(archive({"m/data.pkl": good, "m/data/0": bytes(16)}, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(VmzError, match="packed in a way that PyTorch does not use"):
        read_state_dict(path)
    path.write_bytes(archive({"m/data.pkl": good, "n/data.pkl": good}))
    with pytest.raises(VmzError, match=r"2 members data\.pkl, not one"):
        read_state_dict(path)
    path.write_bytes(archive({"m/data.pkl": b"\x80\x02Nr\xff\xff\xff\x1f.", "m/data/0": bytes(16)}))
    with pytest.raises(VmzError, match="numbers a value 536870911"):
        read_state_dict(path)
    path.write_bytes(archive({"m/data.pkl": good, "m/data/0": struct.pack(">4f", 1, 2, 3, 4), "m/byteorder": b"big"}))
    np.testing.assert_array_equal(read_state_dict(path).tensors["a"], np.array([1, 2, 3, 4], np.float32))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_state_dict(tmp_path / "none.pth")
