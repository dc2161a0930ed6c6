"""Files that people take for checkpoints of VMZ: each is told by its content, and what can be done is said.

Nothing is unpickled or unpacked here: the first bytes, and the directory of a ZIP, tell them apart.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from vmz.errors import UsageError, VmzError
from vmz.files import NOT_REGULAR, NotRegularError, open_regular
from vmz.text import cut, printable, quoted

HEAD_BYTES = 1 << 16
CONVERT = (
    "VMZ reads Caffe2's .pkl and .mdl, and state dicts of PyTorch as .pth and .safetensors; load it in the program "
    "that wrote it, and save its arrays with vmz.checkpoints.pickles.save_pickle, named as tools/print_net.py shows "
    "the network's (docs/reference/checkpoints.md)"
)
STATE_DICT = (
    "save its state dict in PyTorch, torch.save(model.state_dict(), 'weights.pth'), and give that file; `vmz convert "
    "weights.pth` says whose layout it has"
)
TORCH = "a checkpoint of PyTorch (torch.save)"
OLD_TORCH = "a checkpoint of PyTorch (torch.save, old form)"
SAFETENSORS = "a safetensors file"
STATE_DICTS = {TORCH: "pytorch", OLD_TORCH: "pytorch", SAFETENSORS: "safetensors"}  # what `loading` reads
TO_PICKLE = "write it as a .pkl first, with vmz convert FILE --output=weights.pkl"
OLD_TORCH_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a magic number, pickled
AGAIN = "download or copy it again"


@dataclass(frozen=True)
class Kind:
    """A kind of file: whether the first bytes are of it, what it is, and what to do."""

    matches: Callable[[bytes], bool]
    what: str
    remedy: str


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _at(place: int, text: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[place : place + len(text)] == text


def _looks_like(pattern: bytes) -> Callable[[bytes], bool]:
    found = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    return lambda head: found.match(head) is not None


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and 2 <= struct.unpack("<Q", head[:8])[0] < 1 << 32 if len(head) > 9 else False


def _is_onnx(head: bytes) -> bool:
    """A ModelProto: its version, then perhaps who made it, then a graph; told field by field."""
    place = 0
    seen: list[int] = []
    while place < len(head) - 2 and len(seen) < 8:
        field, wire = head[place] >> 3, head[place] & 7
        place += 1
        value = shift = 0
        while place < len(head):
            byte = head[place]
            value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
            if byte < 128:
                break
        if (field, wire) not in ((1, 0), (2, 2), (3, 2), (4, 2), (5, 0), (6, 2), (7, 2), (8, 2)) or field in seen:
            return False
        seen.append(field)
        if field == 7:
            return seen[0] == 1
        place += value if wire == 2 else 0
    return False


def _is_tensorflow_index(path: Path) -> bool:
    with open_regular(path) as stream:
        stream.seek(max(0, path.stat().st_size - 8))
        return stream.read() == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


# In this order: what is special comes before what is general.
KINDS: Sequence[Kind] = (
    Kind(
        _looks_like(rb"\s*(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body)"),
        "a web page, not a checkpoint: the page of a download was saved instead of the file",
        "download the file itself (of Dropbox with ?dl=1 at the end of the link, with curl -L)",
    ),
    Kind(
        _looks_like(rb"\s*<\?xml"),
        "an XML document, not a checkpoint, perhaps a server's error message",
        "read it, and download the file again",
    ),
    Kind(
        _begins(b"version https://git-lfs"),
        "a pointer of Git LFS, not the file itself",
        "run `git lfs pull` in its repository",
    ),
    Kind(_begins(OLD_TORCH_START), OLD_TORCH, TO_PICKLE),
    Kind(
        lambda head: (
            head.startswith(b"\x89HDF\r\n\x1a\n")
            and any(word in head for word in (b"keras", b"layer_names", b"model_weights", b"weight_names"))
        ),
        "weights of Keras (HDF5)",
        CONVERT,
    ),
    Kind(
        _begins(b"\x89HDF\r\n\x1a\n"), "an HDF5 file, as Keras writes weights and extract_features.py features", CONVERT
    ),
    Kind(_is_safetensors, SAFETENSORS, TO_PICKLE),
    Kind(_at(4, b"TFL3"), "a model of TensorFlow Lite", CONVERT),
    Kind(_begins(b"\x93NUMPY"), "a single NumPy array", "a checkpoint contains many, by name; " + CONVERT),
    Kind(
        _at(16, b"\xde\xc0\xef\xbe"),
        "the data of an LMDB, which is for --train_data or --test_data",
        "give a .pkl or .mdl",
    ),
    Kind(_begins(b"\x1f\x8b"), "compressed by gzip", "unpack it with gunzip, or tar -xzf, and give what was in it"),
    Kind(_begins(b"BZh"), "compressed by bzip2", "unpack it with bunzip2, or tar -xjf, and give what was in it"),
    Kind(_begins(b"\xfd7zXZ\0"), "compressed by xz", "unpack it with unxz, or tar -xJf, and give what was in it"),
    Kind(_begins(b"\x28\xb5\x2f\xfd"), "compressed by zstd", "unpack it with unzstd, and give what was in it"),
    Kind(_begins(b"7z\xbc\xaf\x27\x1c"), "a 7z archive", "unpack it, and give what was in it"),
    Kind(_begins(b"Rar!\x1a\x07"), "a RAR archive", "unpack it, and give what was in it"),
    Kind(_at(257, b"ustar"), "a tar archive", "unpack it with tar -xf, and give what was in it"),
    Kind(_begins(b"%PDF"), "a PDF document", "give a .pkl or .mdl"),
    Kind(_begins(b"\xff\xd8\xff", b"\x89PNG\r\n"), "a picture", "give a .pkl or .mdl"),
    Kind(_at(4, b"ftyp"), "a video", "give a .pkl or .mdl; videos are for data/create_video_db.py and --videos"),
    Kind(
        _begins(b"\x1aE\xdf\xa3", b"RIFF"),
        "a video",
        "give a .pkl or .mdl; videos are for data/create_video_db.py and --videos",
    ),
    Kind(_is_onnx, "an ONNX model", CONVERT),
)
ZIPPED = (
    (
        r"(^|/)code/|(^|/)constants\.pkl$",
        "a TorchScript program of PyTorch (torch.jit.save)",
        f"load it with torch.jit.load, then {STATE_DICT}",
    ),
    (
        r"(^|/)archive_format$|\.pt2$|serialized_exported_program",
        "an exported program of PyTorch (torch.export)",
        f"load it with torch.export.load, then {STATE_DICT}",
    ),
    (r"(^|/)data\.pkl$", TORCH, TO_PICKLE),
    (r"^model\.weights\.h5$|^config\.json$", "a model of Keras (.keras)", CONVERT),
    (r"\.npy$", "an .npz archive of NumPy", CONVERT),
)
SUFFIXES = {
    ".caffemodel": "weights of the first Caffe",
    ".pb": "a protobuf, as Caffe2 (init_net.pb) and TensorFlow write them",
    ".prototxt": "a network of the first Caffe, without weights",
    ".pbtxt": "a network as text, without weights",
}


def content_type(path: Union[str, Path]) -> Optional[str]:
    """The format of a checkpoint, one of loading.DB_TYPES, where the first bytes are plainly those, else None."""
    try:
        with open_regular(path) as stream:
            head = stream.read(64)
    except (OSError, ValueError):
        return None
    if head.startswith(b"PK\x03\x04"):
        return STATE_DICTS.get(_zip(Path(path))[0])
    if head.startswith(OLD_TORCH_START):
        return "pytorch"
    if _is_safetensors(head):
        return "safetensors"
    if re.match(rb"\x80[\2-\5]|\(dp|c[\w.]+\n[\w.]+\n", head):
        return "pickle"
    return "minidb" if head[8:].startswith(b"!!META_NET_DEF") else None


def foreign_kind(path: Union[str, Path]) -> Optional[str]:
    """What a file plainly is that is neither a checkpoint nor a net of ours, None where its content does not tell."""
    with Path(path).open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _zip(Path(path))[0]
    return next((kind.what for kind in KINDS if kind.matches(head)), None)


def refuse_foreign(path: Union[str, Path], state_dicts: bool = False) -> None:
    """Raise UsageError where `path` is a file, or a folder, that is plainly no checkpoint of VMZ, VmzError where it is
    a damaged one; what cannot be read, or told, passes. state_dicts: those of PyTorch and safetensors pass too.
    """
    if re.match(r"\w+://", str(path)):
        raise UsageError(f"{path} is an address, not a file; download it first, with curl -L -O")
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is {_folder(path)}; give the file of a checkpoint, .pkl, .mdl, .pth or .safetensors")
    try:
        with open_regular(path) as stream:
            head = stream.read(HEAD_BYTES)
        found = _kind(path, head)
    except NotRegularError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {NOT_REGULAR}") from error
    except (OSError, ValueError):
        return  # whoever reads it says so
    if found is not None and not (state_dicts and found[0] in STATE_DICTS):
        damaged = found[1] == AGAIN  # the right name was given, and the file is broken
        raise (VmzError if damaged else UsageError)(f"{path} is {found[0]}; {found[1]}")


def _kind(path: Path, head: bytes) -> Optional[tuple[str, str]]:
    """(what it is, what to do)"""
    if not head:
        return "an empty file", AGAIN
    if not head.strip(b"\0"):
        return "a file of zeros, perhaps from an interrupted copy", AGAIN
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(path)
    for kind in KINDS:
        if kind.matches(head):
            return _packed(head, kind) if head.startswith(b"\x1f\x8b") else (kind.what, kind.remedy)
    if _is_tensorflow_index(path) or re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        return "a part of a checkpoint of TensorFlow", CONVERT
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()], CONVERT
    if _is_text(head):
        first = head.lstrip(b"\xef\xbb\xbf \r\n").split(b"\n")[0][:60].decode("utf-8", "replace").strip()
        return f"a text file (it begins with {quoted(first)}), not a minidb or a pickle", "give a .pkl or .mdl"
    return None


def _packed(head: bytes, kind: Kind) -> tuple[str, str]:
    """What gzip compressed, as far as its beginning tells."""
    try:
        inside = zlib.decompressobj(31).decompress(head, 1024)
    except zlib.error:
        return kind.what + ", and damaged", AGAIN
    if inside[257:262] == b"ustar":
        return "a tar archive compressed by gzip", "unpack it with tar -xzf, and give what was in it"
    return kind.what, "unpack it with gunzip (its name must end in .gz), and give what was in it"


def _zip(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # of a damaged directory zipfile raises anything
        return "a truncated ZIP archive, perhaps a checkpoint of PyTorch", AGAIN
    for pattern, what, remedy in ZIPPED:
        if any(re.search(pattern, name) for name in names):
            return what, remedy
    holds = (
        f", which contains {cut(printable(names[0]))}{' and more' if len(names) > 1 else ''}"
        if names
        else ", which is empty"
    )
    return f"a ZIP archive{holds}", "unpack it with unzip, and give what was in it"


def _folder(path: Path) -> str:
    if (path / "data.mdb").exists():
        return "an LMDB, which is for --train_data or --test_data"
    if (path / "saved_model.pb").exists():
        return "a SavedModel of TensorFlow"
    return "a folder"


def _is_text(head: bytes) -> bool:
    """Text, but not that of a pickle of protocol 0."""
    start = head[:1024]
    if re.match(rb"\([dl]|c[\w.]+\n[\w.]+\n", start):
        return False
    return all(byte >= 32 or byte in b"\t\r\n\f" for byte in start) and _decodes(start)


def _decodes(start: bytes) -> bool:
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4  # cut in the middle of a letter
    return True
