"""Files that are no checkpoints of VMZ: made as their programs make them, or by their first bytes."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Union

import numpy as np
import pytest
import torch

import vmz
from vmz.checkpoints.loading import DB_TYPES, file_type, load, save
from vmz.checkpoints.old_nets import read_blobs
from vmz.errors import UsageError, VmzError

STATE = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}


def torch_saved(**keywords: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, **keywords)
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pkl"), io.BytesIO(b""))
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(3))
    return stream.getvalue()


def onnx() -> bytes:
    """ir_version 8, producer pytorch 2.1, a graph with a name."""
    return b"\x08\x08\x12\x07pytorch\x1a\x032.1\x3a\x09\x12\x07main_gr\x42\x02\x10\x11"


HTML = b"<!DOCTYPE html>\n<html><head><title>Dropbox - r2plus1d.pkl</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n"
FOREIGN: dict[str, tuple[Union[bytes, Callable[[], bytes]], str]] = {
    "c.pt2": (
        lambda: zipped("m/data.pkl", "m/archive_format"),
        "is an exported program of PyTorch (torch.export); load it with torch.export.load, then save its state dict",
    ),
    "d.pt": (
        lambda: zipped("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl", "m/version"),
        "is a TorchScript program of PyTorch (torch.jit.save); load it with torch.jit.load, then save its state dict",
    ),
    "f.onnx": (onnx, "is an ONNX model"),
    "g.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100) + b"keras_version" + bytes(100), "is weights of Keras (HDF5)"),
    "h.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
    "i.keras": (lambda: zipped("metadata.json", "config.json", "model.weights.h5"), "is a model of Keras"),
    "j.pkl": (HTML, "is a web page, not a checkpoint"),
    "k.mdl": (b"\n\n  <html lang='en'>", "?dl=1"),
    "l.pkl": (POINTER, "is a pointer of Git LFS, not the file itself; run `git lfs pull`"),
    "m.pkl": (b"", "is an empty file; download or copy it again"),
    "m.mdl": (b"", "is an empty file"),
    "n.pkl": (bytes(1000), "is a file of zeros"),
    "o.pkl.gz": (lambda: gzip.compress(b"\x80\x02}."), "is compressed by gzip; unpack it with gunzip"),
    "p.tgz": (lambda: gzip.compress(tarred()), "is a tar archive compressed by gzip; unpack it with tar -xzf"),
    "q.tar": (tarred, "is a tar archive"),
    "r.zip": (
        lambda: zipped("r2plus1d.pkl", "readme"),
        "is a ZIP archive, which contains r2plus1d.pkl and more; unpack it",
    ),
    "s.npz": (npz, "is an .npz archive of NumPy"),
    "t.pth": (lambda: torch_saved()[:300], "is a truncated ZIP archive"),
    "u.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "is a model of TensorFlow Lite"),
    "v.ckpt.index": (
        bytes(10) + b"x" * 40 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb",
        "is a part of a checkpoint of TensorFlow",
    ),
    "w.data-00000-of-00001": (b"\1\2\3" * 9, "is a part of a checkpoint of TensorFlow"),
    "x.caffemodel": (b"\x0a\x06ResNet\x12\x04data" + bytes(9), "is weights of the first Caffe"),
    "y.pkl": (b"org_video,label\na.mp4,1\n", "is a text file (it begins with 'org_video,label'), not a"),
    "z.mdl": (b"\0\0\0\x20ftypisom", "is a video"),
    "0.pkl": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is an XML document"),
    "1.npy": (b"\x93NUMPY\1\0", "is a single NumPy array"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_the_file_is_and_what_to_do(name: str, tmp_path: Path) -> None:
    content, message = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content())
    for db_type in (None, *DB_TYPES):
        with pytest.raises(VmzError) as caught:
            load(path, db_type)
        assert caught.value.exit_status == (1 if "download or copy it again" in str(caught.value) else 2)
        assert message in str(caught.value) and "\n" not in str(caught.value)
        assert str(caught.value).startswith(f"{path} is ")


def test_addresses() -> None:
    with pytest.raises(UsageError, match="is an address, not a file; download it first"):
        load("https://example.com/r2plus1d.pkl")


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json does not exist; it is not a folder of a model"):
        load(tmp_path)
    (tmp_path / "data.mdb").touch()
    with pytest.raises(UsageError, match="is an LMDB"):
        load(tmp_path)


def test_tensors_pickled_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(STATE))
    with pytest.raises(VmzError, match=r"of PyTorch \(torch._utils._rebuild_tensor_v2\), but .*; save its state"):
        load(tmp_path / "a.pkl")


@pytest.mark.parametrize(("kind", "ending"), [("pickle", ".pkl"), ("minidb", ".mdl")])
def test_a_checkpoint_under_another_name(kind: str, ending: str, tmp_path: Path) -> None:
    weights = {"conv1_w": np.ones(3, np.float32)}
    other = ".mdl" if ending == ".pkl" else ".pkl"
    for name in ("w.pkl?dl=1", "weights", "w.bin"):  # as a browser or curl leaves it
        save(tmp_path / name, weights, kind)
        assert file_type(tmp_path / name) == kind
        assert list(load(tmp_path / name).blobs) == ["conv1_w"]
    (tmp_path / "weights").rename(tmp_path / f"w{other}")
    with pytest.raises(UsageError, match=f"as its extension, {other}, says, but a {kind}; give --db_type={kind}"):
        load(tmp_path / f"w{other}")
    assert list(load(tmp_path / f"w{other}", kind).blobs) == ["conv1_w"]
    wrong = "minidb" if kind == "pickle" else "pickle"
    with pytest.raises(UsageError, match=f"of type {wrong}, as --db_type={wrong} says, but a {kind}; give --db_type"):
        load(tmp_path / f"w{other}", wrong)


@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict_is_ours_but_no_net_and_no_workspace(old: bool, tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth.tar", "c"):
        (tmp_path / name).write_bytes(torch_saved(_use_new_zipfile_serialization=not old))
        assert file_type(tmp_path / name) == "pytorch" and list(load(tmp_path / name).blobs) == list(STATE)
        with pytest.raises(UsageError, match=r"is a checkpoint of PyTorch \(torch\.save.*, not a net of Caffe2"):
            vmz.import_net(tmp_path / name)
        with pytest.raises(UsageError, match=r"write it as a \.pkl first, with vmz convert FILE"):
            read_blobs(tmp_path / name)


def test_a_pickle_of_protocol_0_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": {"w": np.ones(3, np.float32)}}, protocol=0))
    np.testing.assert_array_equal(load(tmp_path / "a.pkl").blobs["w"], np.ones(3, np.float32))
