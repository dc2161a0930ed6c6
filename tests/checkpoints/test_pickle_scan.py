"""Pickles that would do harm are refused before they are read; honest ones never are."""

from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmz.checkpoints.pickle_scan import DEEPEST, refuse_bombs
from vmz.checkpoints.pickles import load_array_lists, load_pickle
from vmz.errors import VmzError

DOUBLED = b"2\x86"  # a tuple of the value before, twice


def scan(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with path.open("rb") as stream:
        refuse_bombs(stream)
        assert stream.tell() == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x80\x02Nr\xff\xff\xff\x1f.", "numbers a value 536870911"),  # took 4.1 GB
        (b"Np99999999999\n.", "numbers a value 99999999999"),
        (b"\x80\x02})" + DOUBLED * 60 + b"K\x01s.", r"nests more than|again and again"),  # hung for ever
        (b"\x80\x02U\x01b" + DOUBLED * 24 + b"0N.", "again and again"),
        (b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".", f"nests more than {DEEPEST}"),
        (b"\x80\x02]q\x00h\x00a.", "or in itself"),
        (b"\x80\x02}q\x00U\x01xh\x00s.", "or in itself"),
        (b"\x80\x02]q\x00]q\x01h\x00ah\x00N" + b"a.", "inside another one"),
        (b"L" + b"9" * 100_000 + b"L\n.", "more than 64 digits"),
        (b"I" + b"9" * 100_000 + b"\n.", "more than 64 digits"),
        (b"\x80\x02\x8b\x00\x01\x00\x00" + b"\x7f" * 256 + b".", "an integer of 256 bytes"),
        (b"c" + b"x" * 2000 + b"\ny\n.", "a name of more than 1000 bytes"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "creates an object of a class"),
        (b"\x80\x02\x82\x01.", "a function by number"),
        (b"Pabc\n.", "outside of the file"),
    ],
)
def test_bombs_are_refused_in_a_sentence(content: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(VmzError, match=says):
        scan(tmp_path / "a.pkl", content)
    with pytest.raises(VmzError, match=rf"a\.pkl is refused: .*({says})") as caught:
        load_pickle(tmp_path / "a.pkl")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x00\x00\x00\x00\x02\x00\x00\x00"])
@pytest.mark.parametrize("opcode", [b"\x8e", b"\x8d", b"\x96", b"\x95"])
def test_more_content_than_the_file_has(opcode: bytes, length: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x05" + opcode + length + b"abc.")
    with pytest.raises(VmzError, match=r"is truncated: expected a pickle of .*bytes should follow byte 2"):
        load_pickle(tmp_path / "a.pkl")


def test_one_large_array_many_times(tmp_path: Path) -> None:
    """100 references of two bytes each would be stacked to 100 times the file."""
    array = np.zeros(1 << 20, np.float32)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"softmax": [array] * 200}, protocol=2))
    with pytest.raises(VmzError, match="again and again"):
        load_array_lists(tmp_path / "a.pkl")


HONEST: list[Any] = [
    {"blobs": {f"comp_{n}_conv_1_w": np.full((4, 3), n, np.float32) for n in range(300)}, "about": "{}"},
    {"rows": [0.5] * 20_000, "ids": list(range(20_000)), "text": ["left"] * 20_000},
    {"features": [np.arange(4, dtype=np.float32) for _ in range(2000)]},
    OrderedDict((f"b{n}", np.float64(n)) for n in range(100)),
    {"one": (cyclic := np.zeros(3)), "same": cyclic, "again": [cyclic] * 20},
    {b"bytes": np.zeros((0, 4)), "empty": [], "none": None, "large": 2**63 - 1, "small": -(2**63)},
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", HONEST, ids=range(len(HONEST)))
def test_honest_pickles_pass(content: Any, protocol: int, tmp_path: Path) -> None:
    made = pickle.dumps(content, protocol=protocol)
    scan(tmp_path / "a.pkl", made)
    scan(tmp_path / "b.pkl", pickletools.optimize(made))
