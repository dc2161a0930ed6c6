"""The DB type `lmdb`, through Caffe2's own operators."""

import os
import subprocess

import lmdb
import numpy as np
import pytest

from tests.ops.helpers.databases import BASE
from tests.ops.helpers.operator import LIBRARY, core, needs_library, opened, workspace
from tests.support.damaged_databases import deep_and_wide, flipped, lmdb_of, truncated
from vmz.video.database.lmdb_file import LmdbError, LmdbFile

pytestmark = needs_library
TOOL = LIBRARY.parent / "read_lmdb_tool"


@pytest.fixture(autouse=True)
def clean():
    workspace.ResetWorkspace()
    yield
    workspace.ResetWorkspace()


def save(path, blobs):
    for name, array in blobs.items():
        workspace.FeedBlob(name, array)
    workspace.RunOperatorOnce(
        core.CreateOperator("Save", list(blobs), [], db=str(path), db_type="lmdb", absolute_path=1)
    )


def test_save_and_load(tmp_path):
    blobs = {name: np.random.RandomState(i).randn(50, 40).astype(np.float32) for i, name in enumerate("abc")}
    save(tmp_path / "db", blobs)
    workspace.ResetWorkspace()
    workspace.RunOperatorOnce(
        core.CreateOperator("Load", [], list(blobs), db=str(tmp_path / "db"), db_type="lmdb", absolute_path=1)
    )
    for name, array in blobs.items():
        assert np.array_equal(workspace.FetchBlob(name), array)
    with lmdb.open(str(tmp_path / "db"), readonly=True) as environment:
        assert environment.stat()["entries"] == 3


def test_the_map_grows(tmp_path):
    blobs = {f"blob{i}": np.full((5 << 20,), i, np.float32) for i in range(5)}  # 100 MB; the first map has 64
    save(tmp_path / "db", blobs)
    workspace.ResetWorkspace()
    # Caffe2 writes a large blob in pieces, from several threads: none may be lost.
    workspace.RunOperatorOnce(
        core.CreateOperator("Load", [], list(blobs), db=str(tmp_path / "db"), db_type="lmdb", absolute_path=1)
    )
    for name, array in blobs.items():
        assert np.array_equal(workspace.FetchBlob(name), array)


def test_an_existing_folder_is_not_overwritten(tmp_path):
    with pytest.raises(RuntimeError, match=r"lmdb: cannot create .*: File exists"):
        save(tmp_path, {"a": np.zeros(3, np.float32)})


def open_reader(path, **shard):
    workspace.RunOperatorOnce(core.CreateOperator("CreateDB", [], ["reader"], db=str(path), db_type="lmdb", **shard))


def test_a_read_only_folder(tmp_path):
    with lmdb.open(str(tmp_path / "db")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"0", b"x")
    os.remove(tmp_path / "db" / "lock.mdb")
    os.chmod(tmp_path / "db" / "data.mdb", 0o444)
    os.chmod(tmp_path / "db", 0o555)
    open_reader(tmp_path / "db")
    assert not (tmp_path / "db" / "lock.mdb").exists()  # root may write anywhere, but there was no need to
    os.chmod(tmp_path / "db", 0o755)


def test_a_single_file(tmp_path):
    with lmdb.open(str(tmp_path / "db.mdb"), subdir=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"0", b"x")
    open_reader(tmp_path / "db.mdb")


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000])
def test_what_is_no_database(content, tmp_path):
    path = tmp_path / "db"
    if content is not None:
        path.mkdir()
        (path / "data.mdb").write_bytes(content)
    with pytest.raises(
        RuntimeError, match=r"lmdb: (no such database|.* is not an LMDB: it (is empty|does not begin as one))"
    ):
        open_reader(path)


def test_a_folder_without_data(tmp_path):
    with pytest.raises(RuntimeError, match=r"contains no data\.mdb"):
        open_reader(tmp_path)


def test_a_truncated_database_is_refused_not_fatal(tmp_path):
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 26) as environment:
        for i in range(20):
            with environment.begin(write=True) as transaction:
                transaction.put(b"%d" % i, b"x" * 100_000)
    data = tmp_path / "db" / "data.mdb"
    data.write_bytes(data.read_bytes()[: 1 << 19])
    with pytest.raises(RuntimeError, match="is truncated: 524288 bytes of"):
        open_reader(tmp_path / "db")


def test_a_file_that_changes_while_it_is_open(tmp_path):
    """LMDB would have it mapped, and the process die of it."""
    lmdb_of(tmp_path / "db", 40, 9000)
    with opened(tmp_path / "db", {**BASE, "batch_size": 1}) as operator:
        os.truncate(tmp_path / "db" / "data.mdb", 3 * 4096)
        with pytest.raises(RuntimeError, match="has changed while it was read; run again when nothing writes to it"):
            operator.run()


def test_damaged_databases_are_what_they_are_to_the_python_reader(tmp_path):
    """Record for record and sentence for sentence; no process dies."""
    paths, wanted = [], []
    for name, content in deep_and_wide(tmp_path / "made").items():
        damaged = [content, *list(truncated(content))[::7], *flipped(content, 100, 2)]
        for number, one in enumerate(damaged):
            path = tmp_path / f"{name}_{number}"
            path.write_bytes(one)
            paths.append(str(path))
            wanted.append(read_by_python(str(path)))
    done = subprocess.run([str(TOOL), *paths], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == wanted
    assert sum("records, " in line for line in wanted) > 20 and sum("damaged" in line for line in wanted) > 80


def read_by_python(path):
    try:
        file = LmdbFile(path)
        size = sum(len(file.value(index)) for index in range(len(file)))
        file.close()
        return f"{path}: {len(file)} records, {size} bytes"
    except LmdbError as error:
        return str(error)
