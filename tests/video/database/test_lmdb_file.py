import os
import shutil

import lmdb
import pytest

from tests.support.damaged_databases import PAGE, deep_and_wide, flipped, lmdb_of, truncated, with_meta
from vmz.errors import VmzError
from vmz.files import NOT_REGULAR
from vmz.video.database.lmdb_file import LmdbError, LmdbFile


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    return deep_and_wide(tmp_path_factory.mktemp("lmdb"))


def read(path, content):
    path.write_bytes(content)
    file = LmdbFile(str(path))
    try:
        return {key: file.value(index) for index, key in enumerate(file.keys)}
    finally:
        file.close()


def records(count, size, key=60):
    return {b"%0*d" % (key, number): bytes([number % 251]) * size for number in range(count)}


@pytest.mark.parametrize("name", ["deep", "wide"])
def test_what_lmdb_wrote_is_read(name, databases, tmp_path):
    wanted = records(3000, 40) if name == "deep" else records(60, 9000)
    assert read(tmp_path / "data.mdb", databases[name]) == wanted


@pytest.mark.parametrize("size", [0, 1, 2024, 2025, 2026, 2030, 4080, 4081, 8176, 8177])
def test_values_of_every_size(size, tmp_path):
    assert read(tmp_path / "data.mdb", lmdb_of(tmp_path / "db", 7, size, 5)) == records(7, size, 5)


def test_what_was_removed_is_not_there(tmp_path):
    lmdb_of(tmp_path / "db", 500, 3000)
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 28) as environment:
        for first in range(0, 500, 2):
            with environment.begin(write=True) as transaction:
                transaction.delete(b"%060d" % first)
        with environment.begin() as transaction:
            wanted = {bytes(key): bytes(value) for key, value in transaction.cursor()}
    assert len(wanted) == 250
    assert read(tmp_path / "data.mdb", (tmp_path / "db" / "data.mdb").read_bytes()) == wanted


def test_parts_of_values(databases, tmp_path):
    (tmp_path / "data.mdb").write_bytes(databases["wide"])
    file = LmdbFile(str(tmp_path / "data.mdb"))
    assert file.size(3) == 9000
    assert file.value(3, 8990, 100) == b"\x03" * 10
    assert file.value(3, 9001, 5) == file.value(3, 0, 0) == b""
    file.close()
    file.close()


@pytest.mark.parametrize("name", ["deep", "wide"])
def test_a_truncated_file_is_an_error_or_right(name, databases, tmp_path):
    """Pages at the end that no record needs may be missing."""
    whole = read(tmp_path / "data.mdb", databases[name])
    refused = 0
    for content in truncated(databases[name]):
        try:
            assert read(tmp_path / "data.mdb", content) == whole
        except LmdbError as error:
            assert str(error).startswith(f"{tmp_path}/data.mdb is ") and str(error).count("\n") == 0
            refused += 1
    assert refused > len(databases[name]) // PAGE


@pytest.mark.parametrize("name", ["deep", "wide"])
def test_changed_bytes_are_an_error_or_change_no_more_than_a_record(name, databases, tmp_path):
    refused = 0
    for content in flipped(databases[name], 300, 1):
        try:
            assert len(read(tmp_path / "data.mdb", content)) == (3000 if name == "deep" else 60)
        except LmdbError as error:
            assert str(error).endswith(("; copy it or create it again", "create_video_db.py wrote", "LMDB 0.9"))
            refused += 1
    assert refused > (150 if name == "deep" else 50)


def test_every_byte_of_the_pages_that_lead_to_records(tmp_path):
    """Each changed in turn: never another record in its place, never another error."""
    content = lmdb_of(tmp_path / "db", 20, 2500, 3)
    whole = read(tmp_path / "data.mdb", content)
    refused = 0
    leaf = next(at for at in range(2 * PAGE, len(content), PAGE) if content[at + 10] == 2)
    for place in [*range(leaf, leaf + 60), *range(leaf + PAGE - 440, leaf + PAGE)]:
        damaged = bytearray(content)
        damaged[place] ^= 0x11
        try:
            found = read(tmp_path / "data.mdb", bytes(damaged))
            same = sum(found.get(key) == value for key, value in whole.items())
            assert len(found) == 20 and same >= 18
        except LmdbError:
            refused += 1
    assert refused > 200


KINDS = {
    "no bytes": (lambda content: b"", "is not an LMDB: it is empty"),
    "text": (lambda content: b"no LMDB" * 2000, "is not an LMDB: it does not begin as one"),
    "zeros": (lambda content: bytes(len(content)), "is not an LMDB: it does not begin as one"),
    "a few bytes": (lambda content: content[:100], "is truncated: 100 bytes are less than a page"),
    "half a meta page": (lambda content: content[: PAGE + 50], f"is truncated: {PAGE + 50} bytes of {2 * PAGE}"),
    "format 2": (lambda content: with_meta(content, 4, b"\2"), "is an LMDB of format 2, and only format 1"),
    "32 bit": (lambda content: content[4:], "is an LMDB of a 32-bit machine"),
    "LMDB 1.0": (lambda content: bytes(8) + content, "is an LMDB of LMDB 1.0"),
    "big-endian": (lambda content: with_meta(content, 0, b"\xbe\xef\xc0\xde"), "is an LMDB of a big-endian machine"),
    "pages of 1000 bytes": (lambda content: with_meta(content, 24, b"\xe8\3"), "states pages of 1000 bytes, which no"),
    "pages of 64 KiB": (lambda content: with_meta(content, 24, b"\0\0\1\0"), "states pages of 65536 bytes, which no"),
    "pages of 512 bytes": (lambda content: with_meta(content, 24, b"\0\2\0\0"), "page 1 is not the meta page"),
    "another kind of table": (lambda content: with_meta(content, 76, b"\4\0"), "states a table of another kind (4)"),
    "a deep tree": (lambda content: with_meta(content, 78, b"\xff\0"), "states a tree of 255 levels"),
    "a page far away": (
        lambda content: with_meta(content, 112, b"\xff" * 7 + b"\0"),
        "it names page 72057594037927935",
    ),
    "a page of its own": (lambda content: with_meta(content, 112, b"\1" + bytes(7)), "it names page 1 and 0 more"),
    "more records": (lambda content: with_meta(content, 104, b"\xff\xff"), "it states 65535 records and contains 60"),
    "no root": (lambda content: with_meta(content, 112, b"\xff" * 8), "it states 60 records and contains 0"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_is_one_sentence(kind, databases, tmp_path):
    change, wanted = KINDS[kind]
    with pytest.raises(LmdbError) as caught:
        read(tmp_path / "data.mdb", change(databases["wide"]))
    assert str(caught.value).startswith(f"{tmp_path / 'data.mdb'} is ") and wanted in str(caught.value)


def test_a_file_that_changes_while_it_is_open(databases, tmp_path):
    path = tmp_path / "data.mdb"
    path.write_bytes(databases["wide"])
    for change in (lambda: os.truncate(path, 8 * PAGE), lambda: path.write_bytes(databases["wide"][::-1])):
        path.write_bytes(databases["wide"])
        file = LmdbFile(str(path))
        assert file.value(0) == bytes(9000)
        change()
        with pytest.raises(LmdbError, match="has changed while it was read; run again when nothing writes to it"):
            [file.value(index) for index in range(len(file))]
        file.close()


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(VmzError, match=f"cannot read {path}: {NOT_REGULAR}"):
            LmdbFile(str(path))
    with pytest.raises(VmzError, match=r"cannot read .*none: No such file or directory"):
        LmdbFile(str(tmp_path / "none"))


def test_no_file_stays_open(databases, tmp_path):
    shutil.copyfile("/dev/null", tmp_path / "data.mdb")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(LmdbError):
            LmdbFile(str(tmp_path / "data.mdb"))
    assert len(os.listdir("/proc/self/fd")) == before
