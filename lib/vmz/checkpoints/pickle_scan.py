"""What a pickle would make, found out before it is made: opcode by opcode, skipping over the content.

A pickle of a few bytes can name a memo of gigabytes, hash a tuple that doubles sixty times, or nest a hundred thousand
lists. So each value on the stack is followed by its depth and its weight: how many values it is when it is written out
in full, everything that is referred to twice counted twice. Both have bounds, as have numbers, names and lengths, far
above what an honest checkpoint needs.
"""

from __future__ import annotations

import os
import pickletools
import re
import struct
from typing import IO, NoReturn, Optional

from vmz.errors import VmzError
from vmz.text import counted

DEEPEST = 40  # containers inside one another; a checkpoint has 4 or 5
LONGEST_NAME = 1000  # bytes of a module and its function
LONGEST_NUMBER = 64  # digits of a number written as text
LARGEST_INTEGER = 16  # bytes of one in binary: checkpoints hold 64-bit numbers
SHARING = 50  # times its length in bytes: what a file weighs at most. A small value, shared, takes two bytes
FREE_WEIGHT = 1 << 16  # of small files too

_STEPS = {bytes([ord(opcode.code)]): opcode for opcode in pickletools.opcodes}
_FIXED = {
    "uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d",
}  # fmt: skip
_COUNTED = {
    "string1": "<B", "string4": "<i", "bytes1": "<B", "bytes4": "<I", "bytes8": "<Q", "bytearray8": "<Q",
    "unicodestring1": "<B", "unicodestring4": "<I", "unicodestring8": "<Q", "long1": "<B", "long4": "<i",
}  # fmt: skip
_REFUSED = {
    "PERSID": "it refers to an object outside of the file",
    "BINPERSID": "it refers to an object outside of the file",
    "EXT1": "it asks for a function by number",
    "EXT2": "it asks for a function by number",
    "EXT4": "it asks for a function by number",
    "NEXT_BUFFER": "it refers to data outside of the file",
    "INST": "it creates an object of a class, but a checkpoint needs only arrays",
    "OBJ": "it creates an object of a class, but a checkpoint needs only arrays",
    "NEWOBJ": "it creates an object of a class, but a checkpoint needs only arrays",
    "NEWOBJ_EX": "it creates an object of a class, but a checkpoint needs only arrays",
    "EMPTY_SET": "it contains a set, but a checkpoint has dicts and lists",
    "FROZENSET": "it contains a set, but a checkpoint has dicts and lists",
    "ADDITEMS": "it contains a set, but a checkpoint has dicts and lists",
}
_CONTENT = {
    opcode.name for opcode in pickletools.opcodes if opcode.arg and re.search("string|bytes", opcode.arg.name)
}  # what carries text or bytes


class _Value:
    """depth: of containers. weight: values in it, and of text and bytes half the length. placed: it is inside another
    value, and so it is complete.
    """

    __slots__ = ("depth", "placed", "weight")

    def __init__(self, depth: int = 0, weight: int = 1) -> None:
        self.depth, self.weight, self.placed = depth, weight, False


class _Damaged(Exception):
    """The file breaks off, or is no pickle: what the real reader says of it is said."""


def refuse_bombs(stream: IO[bytes], size: Optional[int] = None, persistent: bool = False) -> None:
    """Go through a pickle from where the stream is, leaving it there again.

    size: of the stream, in bytes; by default that of the file. persistent: it may refer to objects outside of it, as
    PyTorch's refer to storages. Raises VmzError for one that would do harm, EOFError where more content is announced
    than there is. What is merely damaged passes: reading it fails soon, and says why.
    """
    start = stream.tell()
    try:
        _Scan(stream, os.fstat(stream.fileno()).st_size if size is None else size, persistent).run()
    except _Damaged:
        pass
    finally:
        stream.seek(start)


class _Scan:
    def __init__(self, stream: IO[bytes], size: int, persistent: bool) -> None:
        self.stream, self.size, self.persistent = stream, size, persistent
        self.heaviest = FREE_WEIGHT + SHARING * self.size
        self.stack: list[Optional[_Value]] = []  # None: a mark
        self.memo: dict[int, _Value] = {}

    def run(self) -> None:
        while True:
            place = self.stream.tell()
            opcode = _STEPS.get(self.stream.read(1))
            if opcode is None:
                raise _Damaged
            name = opcode.name
            if name in _REFUSED and not (self.persistent and name == "BINPERSID"):
                raise VmzError(_REFUSED[name])
            argument = self._argument(opcode.arg.name if opcode.arg else "", place)
            if name == "STOP":
                return
            self._do(name, argument, place)

    # What follows an opcode

    def _argument(self, kind: str, place: int) -> int:
        """The number that follows an opcode, or the length of the content that does and is skipped."""
        if not kind:
            return 0
        if kind in _FIXED:
            return int(self._unpacked(_FIXED[kind])) if kind != "float8" else self._skipped(8)
        if kind in _COUNTED:
            length = int(self._unpacked(_COUNTED[kind]))
            if kind.startswith("long") and length > LARGEST_INTEGER:
                raise VmzError(
                    f"it contains an integer of {counted(length, 'byte')} (at byte {place}); a checkpoint has 64-bit "
                    f"numbers"
                )
            return self._skipped(length, place)
        if kind == "decimalnl_short" or kind == "decimalnl_long" or kind == "floatnl":
            return self._number(kind, place)
        if kind == "stringnl_noescape_pair":
            return self._line(LONGEST_NAME, place) + self._line(LONGEST_NAME, place)
        return self._line(self.size, place)  # stringnl, unicodestringnl, ...

    def _unpacked(self, form: str) -> int:
        content = self.stream.read(struct.calcsize(form))
        if len(content) < struct.calcsize(form):
            raise _Damaged
        return int(struct.unpack(form, content)[0])

    def _skipped(self, length: int, place: int = 0) -> int:
        left = self.size - self.stream.tell()
        if not 0 <= length <= left:
            raise EOFError(f"{counted(length, 'byte')} should follow byte {place}, but only {left} do")
        self.stream.seek(length, os.SEEK_CUR)
        return length

    def _line(self, most: int, place: int) -> int:
        line = self.stream.readline(most + 2)
        if len(line) > most + 1:
            raise VmzError(f"it has a name of more than {most} bytes (at byte {place})")
        if not line.endswith(b"\n"):
            raise _Damaged
        return len(line)

    def _number(self, kind: str, place: int) -> int:
        line = self.stream.readline(LONGEST_NUMBER + 2)
        if len(line) > LONGEST_NUMBER:
            raise VmzError(f"it has a number of more than {LONGEST_NUMBER} digits (at byte {place})")
        try:
            return int(line.strip().rstrip(b"L")) if kind != "floatnl" else 0
        except ValueError:
            raise _Damaged from None

    # What an opcode does

    def _do(self, name: str, argument: int, place: int) -> None:
        if name == "MARK":
            self.stack.append(None)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if not 0 <= argument <= place:
                raise VmzError(f"it numbers a value {argument}, but has created fewer values before byte {place}")
            self.memo[argument] = self._top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self._top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise _Damaged
            self.stack.append(self.memo[argument])
        elif name == "DUP":
            self.stack.append(self._top())
        elif name == "POP":
            if not self.stack:
                raise _Damaged
            self.stack.pop()
        elif name == "POP_MARK":
            self._marked()
        elif name in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE"):
            self.stack.append(_Value(1))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            self._gather([self._pop() for _ in range(int(name[-1]))], place)
        elif name in ("TUPLE", "LIST", "DICT"):
            self._gather(self._marked(), place)
        elif name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS"):
            count = {"APPEND": 1, "SETITEM": 2}.get(name)
            self._fill(self._marked() if count is None else [self._pop() for _ in range(count)], place)
        elif name == "REDUCE":
            arguments = self._pop()
            self._pop()
            self.stack.append(_Value(arguments.depth, arguments.weight))
        elif name == "BINPERSID":
            described = self._pop()
            self.stack.append(_Value(described.depth, described.weight))
        elif name == "BUILD":
            self._fill([self._pop()], place)  # the state of an array or a type
        elif name == "STACK_GLOBAL":
            self._pop()
            self._pop()
            self.stack.append(_Value())
        elif name in ("PROTO", "FRAME", "READONLY_BUFFER"):
            if name == "FRAME" and argument > self.size:
                raise EOFError(f"a part of {counted(argument, 'byte')} should follow byte {place}")
        else:  # a number, a text, a name, None, True, False
            self.stack.append(_Value(0, 1 + (argument // 2 if name in _CONTENT else 0)))

    def _top(self) -> _Value:
        if not self.stack or self.stack[-1] is None:
            raise _Damaged
        return self.stack[-1]

    def _pop(self) -> _Value:
        value = self._top()
        self.stack.pop()
        return value

    def _marked(self) -> list[_Value]:
        """The values above the last mark, taken off with it."""
        found: list[_Value] = []
        while self.stack:
            value = self.stack.pop()
            if value is None:
                return found
            found.append(value)
        raise _Damaged

    def _gather(self, parts: list[_Value], place: int) -> None:
        self.stack.append(_Value(1))
        self._fill(parts, place)

    def _fill(self, parts: list[_Value], place: int) -> None:
        """Put values into the container on top."""
        container = self._top()
        if container.placed:
            self._refuse_change(place)
        for part in parts:
            part.placed = True
            container.weight += part.weight
            container.depth = max(container.depth, part.depth + 1)
        if container.placed:  # it was among its own parts
            self._refuse_change(place)
        if container.depth > DEEPEST:
            raise VmzError(f"it nests more than {DEEPEST} lists and dicts inside one another (at byte {place})")
        if container.weight > self.heaviest:
            raise VmzError(
                f"it refers to the same values again and again, to more than {self.heaviest} in a file of {self.size} "
                f"bytes (at byte {place})"
            )

    def _refuse_change(self, place: int) -> NoReturn:
        raise VmzError(f"it changes a list or dict that is inside another one, or in itself (at byte {place})")
