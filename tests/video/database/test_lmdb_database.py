import os
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from tests.support.disks import disk
from tests.support.optionals import present
from vmz.errors import UsageError, VmzError
from vmz.video.database import lmdb_database as module
from vmz.video.database.lmdb_database import DatabaseWriter, VideoDatabase
from vmz.video.database.records import Record, RecordError


def make(path, records):
    with DatabaseWriter(path) as writer:
        for record in records:
            writer.write(record)
    return path


def raw(path, items):
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        for key, value in items:
            transaction.put(key, value)
    return path


def test_positions_follow_the_byte_order_of_the_keys(tmp_path):
    path = make(tmp_path / "db", [Record(str(i).encode(), b"video %d" % i, (i,)) for i in range(12)])
    with VideoDatabase(path) as database:
        assert len(database) == 12
        assert [record.labels[0] for record in database] == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
        assert database[2].video == b"video 10"


def test_the_map_grows_and_the_file_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_MAP_BYTES", 1 << 16)
    monkeypatch.setattr(module, "BATCH_BYTES", 1 << 20)
    path = make(tmp_path / "db", [Record(str(i).encode(), bytes(300_000), (0,)) for i in range(20)])
    with VideoDatabase(path) as database:
        assert sum(len(record.video) for record in database) == 6_000_000
    assert sum(file.stat().st_size for file in path.iterdir()) < 8_000_000


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), DatabaseWriter(tmp_path / "db") as writer:
        writer.write(Record(b"0", b"v", (0,)))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused(tmp_path):
    (tmp_path / "db").write_text("")
    with pytest.raises(UsageError, match="exists already"):
        DatabaseWriter(tmp_path / "db")


def test_an_output_that_cannot_be_written_is_a_sentence(tmp_path):
    with pytest.raises(VmzError, match=r"there is no folder .*none; create it"):
        DatabaseWriter(tmp_path / "none" / "db")


def test_one_database_can_be_opened_twice(tmp_path):
    path = make(tmp_path / "db", [Record(b"0", b"v", (4,))])
    first, second = VideoDatabase(path), VideoDatabase(str(path) + "/")
    first.close()
    first.close()
    assert second[0].labels == (4,)
    second.close()
    with VideoDatabase(path) as third:
        assert third[0].labels == (4,)


def test_opening_leaves_a_read_only_folder_as_it_is(tmp_path):
    path = make(tmp_path / "db", [Record(b"0", b"v", (4,))])
    assert not (path / "lock.mdb").exists()
    (path / "data.mdb").chmod(0o444)
    path.chmod(0o555)
    script = "import os,sys; os.getuid() or os.setuid(65534); "
    script += "from vmz.video.database.lmdb_database import VideoDatabase as V; print(V(sys.argv[1])[0].labels)"
    os.chmod(tmp_path, 0o755)
    for parent in [tmp_path, *tmp_path.parents]:
        if not os.stat(parent).st_mode & 0o001:
            script = script.replace("os.getuid() or os.setuid(65534)", "1")  # others may not even come this far
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[3]), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, capture_output=True, text=True)
    path.chmod(0o755)
    assert done.stdout == "(4,)\n", done.stderr


def test_what_is_no_database_of_videos_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no such database: .*none"):
        VideoDatabase(tmp_path / "none")
    with pytest.raises(VmzError, match=r"is not an LMDB: it contains no data\.mdb"):
        VideoDatabase(tmp_path)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "data.mdb").write_text("not an LMDB" * 1000)
    with pytest.raises(VmzError, match="is not an LMDB: it does not begin as one"):
        VideoDatabase(tmp_path / "text")
    with pytest.raises(VmzError, match="is an LMDB without records"):
        VideoDatabase(raw(tmp_path / "empty", []))
    with pytest.raises(VmzError, match=r"an LMDB that does not contain videos \(record a: "):
        VideoDatabase(raw(tmp_path / "other", [(b"a", b"\x89PNG picture"), (b"b", b"text")]))


def test_a_truncated_record_among_good_ones_is_found_when_it_is_read(tmp_path):
    path = make(tmp_path / "db", [Record(b"0", b"v" * 50, (4,)), Record(b"1", b"v" * 50, (5,))])
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"0", present(transaction.get(b"0"))[:30])
    with VideoDatabase(path) as database:
        assert database[1].labels == (5,)
        with pytest.raises(RecordError, match="truncated"):
            database[0]


def test_a_full_disk_is_an_error_wherever_it_is_met(tmp_path):
    """Also where LMDB would map a file that the disk has no room for, which ends the process."""
    script = "import sys\nfrom vmz.errors import VmzError\nfrom vmz.video.database.lmdb_database import *\ntry:\n"
    script += "    with DatabaseWriter(sys.argv[1]) as w: w.write(Record(b'0', bytes(20000), (4,)))\n"
    script += "except VmzError as error: print(error)"
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[3])}
    for pages in range(0, 9, 2):
        with disk(tmp_path / "full", f"size={max(1, 4 * pages)}k") as full:
            if not pages:
                (full / "all").write_bytes(bytes(4096 - 96))
            command = [sys.executable, "-c", script, str(full / "db")]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
            written = (full / "db").exists()
            assert done.returncode == 0 and (
                written or "cannot be written" in done.stdout or "cannot write" in done.stdout
            )
            assert [path.name for path in full.iterdir() if path.name != "all"] == (["db"] if written else [])
