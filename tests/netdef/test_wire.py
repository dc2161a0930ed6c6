"""Messages that are damaged are refused, and nothing is printed beside."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.message import DecodeError

from vmz.netdef.builder import make_argument
from vmz.netdef.protos import NetDef
from vmz.netdef.wire import parse


def made() -> bytes:
    net = NetDef(name="nét")
    op = net.op.add(type="Conv", input=["x", "w"], output=["y"])
    op.arg.extend([make_argument("kernels", [3, 3]), make_argument("value", 0.5), make_argument("order", "NCHW")])
    return bytes(net.SerializeToString())


def test_what_is_whole_is_parsed() -> None:
    assert parse(NetDef, made()) == NetDef.FromString(made()) and parse(NetDef, b"") == NetDef()


def test_text_that_is_no_utf8_is_an_error_without_a_word_of_protobuf(capfd: pytest.CaptureFixture[str]) -> None:
    for good, bad in ((b"n\xc3\xa9t", b"n\xff\xa9t"), (b"Conv", b"\xffonv"), (b"order", b"orde\xff")):
        assert good in made()
        with pytest.raises(DecodeError, match="not a NetDef, or is truncated"):
            parse(NetDef, made().replace(good, bad))
    assert capfd.readouterr() == ("", "")


def test_damaged_messages_are_parsed_or_refused(capfd: pytest.CaptureFixture[str]) -> None:
    random, refused = np.random.RandomState(1), 0
    for _ in range(2000):
        content = bytearray(made()[: random.randint(1, len(made()) + 1)])
        content[random.randint(len(content))] = random.randint(256)
        try:
            parse(NetDef, bytes(content))
        except DecodeError:
            refused += 1
    assert 500 < refused < 1990 and capfd.readouterr() == ("", "")
