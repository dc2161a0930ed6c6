"""VideoInput by position: shares of several readers, going on where another stopped, shuffled turns."""

import functools

import numpy as np
import pytest

from tests.ops.helpers.databases import BASE, ODD, TALL, record, write
from tests.ops.helpers.operator import Operator, core, needs_library, opened, workspace
from tests.support.sharding import AUGMENTED, check_shards
from vmz.video.arguments import VideoInputArgs
from vmz.video.reader import ClipReader

pytestmark = needs_library

VIDEOS = [TALL, ODD, TALL, ODD, TALL]


@pytest.fixture(autouse=True)
def clean():
    yield
    workspace.ResetWorkspace()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Seven records; the labels are their places."""
    return write(tmp_path_factory.mktemp("order") / "db", [record(VIDEOS[n % 5], n) for n in range(7)])


def read(path, batches, **changes):
    """The records and the clips of so many batches, and the position after them."""
    args = {**BASE, **AUGMENTED, "get_record_index": 1, "get_position": 1, **changes}
    with opened(path, args) as operator:
        found = [operator.run() for _ in range(batches)]
    records = [int(record) for batch in found for record in batch["record_index"]]
    assert records == [int(label) for batch in found for label in batch["label"]]
    return records, np.concatenate([batch["data"] for batch in found]), found[-1]["position"].tolist()[0]


@pytest.mark.parametrize("shuffle", [0, 1])
def test_global_batches_are_the_same_for_any_number_of_shards(shuffle, database):
    check_shards(functools.partial(read, database), shuffle)


@pytest.mark.parametrize("shuffle", [0, 1])
def test_the_records_are_those_of_the_python_reader(shuffle, database):
    args = {"batch_size": 2, "shard_count": 2, "shard_index": 1, "shuffle": shuffle, "first_position": 3}
    with ClipReader(database, VideoInputArgs.from_mapping({**BASE, **AUGMENTED, **args})) as reader:
        theirs = [int(record) for _ in range(8) for record in reader.next_batch().record_index]
        position = reader.position
    records, _, ours = read(database, 8, **args)
    assert records == theirs and ours == position == 19


@pytest.mark.parametrize("shuffle", [0, 1])
def test_a_reader_goes_on_where_another_stopped(shuffle, database):
    args = {"batch_size": 2, "shard_index": 1, "shard_count": 2, "shuffle": shuffle}
    records, clips, position = read(database, 6, **args)
    assert position == 12
    for before in (1, 2, 5):
        place = read(database, before, **args)[2]
        assert place == 2 * before
        later, rest, end = read(database, 6 - before, first_position=place, **args)
        assert end == 12 and later == records[place:] and np.array_equal(rest, clips[place:])


def test_going_on_after_plain_reading(database):
    """Reading one record after the other and reading by position draw the same for each record."""
    records, clips, _ = read(database, 6, batch_size=2)
    later, rest, end = read(database, 3, batch_size=2, first_position=6)
    assert later == records[6:] and np.array_equal(rest, clips[6:]) and end == 12


def test_the_position_counts_what_was_left_out(tmp_path):
    path = write(tmp_path / "db", [record(b"bad" if n in (1, 3) else TALL, n) for n in range(5)])
    skip = {"on_bad_video": "skip", "batch_size": 2}
    records, clips, position = read(path, 3, **skip)
    assert records == [0, 2, 4, 0, 2, 4] and position == 10
    for before, place in ((1, 3), (2, 6)):
        assert read(path, before, **skip)[2] == place
        later, rest, end = read(path, 3 - before, first_position=place, **skip)
        assert later == records[2 * before :] and np.array_equal(rest, clips[2 * before :]) and end == 10


def test_shards_of_one_pass_hold_every_record_once(database):
    seen = []
    for shard in range(3):
        args = {**BASE, "batch_size": 2, "shard_count": 3, "shard_index": shard, "seed": 1, "wrap_around": 0}
        with opened(database, args) as operator:
            for _ in range(2 if shard == 0 else 1):
                seen.append(operator.run()["label"].tolist())
            for _ in range(2):
                with pytest.raises(RuntimeError, match=rf"EndOfData: all 7 .* \(shard {shard} of 3\) have been"):
                    operator.run()
    assert seen == [[0, 1], [6], [2, 3], [4, 5]]


def test_operators_of_several_devices_take_their_shares_of_one_reader(database):
    """Beside an operator that reads one record after the other: none disturbs another."""
    Operator.open(database)
    args = {**BASE, **AUGMENTED, "batch_size": 2, "num_decode_threads": 1, "shard_count": 2, "shuffle": 1}
    nets = []
    for name, changes in {
        "plain": {"batch_size": 1, "seed": 1, "shard_count": 1, "shuffle": 0},
        "device0": {"shard_index": 0},
        "device1": {"shard_index": 1},
    }.items():
        net = core.Net(name)
        net.VideoInput(["reader"], [f"{name}_data", f"{name}_label"], **{**args, **changes})
        workspace.CreateNet(net)
        nets.append(net)
    plain, together, clips = [], [], []
    for _ in range(8):
        for net in nets:
            workspace.RunNet(net)
        plain.append(int(workspace.FetchBlob("plain_label")))
        for device in ("device0", "device1"):
            together.extend(workspace.FetchBlob(f"{device}_label").tolist())
            clips.append(workspace.FetchBlob(f"{device}_data"))
    assert plain == [0, 1, 2, 3, 4, 5, 6, 0]
    records, pixels, _ = read(database, 8, batch_size=4, shuffle=1)
    assert together == records and np.array_equal(np.concatenate(clips), pixels)


def test_what_cannot_be_read_by_position(database, tmp_path):
    with opened(database, {**BASE, "first_position": 1}) as operator:
        operator.open(database, num_shards=2, shard_id=1)
        with pytest.raises(RuntimeError, match="CreateDB opened one shard of 2; leave its num_shards out"):
            operator.run()
    content = b"key"
    (tmp_path / "mini").write_bytes(np.array([3, 3], np.int32).tobytes() + content + content)
    with (
        opened(tmp_path / "mini", {**BASE, "first_position": 1}, db_type="minidb") as operator,
        pytest.raises(RuntimeError, match="must be of a type that can seek, lmdb for example"),
    ):
        operator.run()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shuffle": 1}, "shuffle=1 needs a seed, not seed=0"),
        ({"shard_count": 2}, "shard_count=2 needs a seed, not seed=0"),
        ({"shard_count": 2, "shard_index": 2, "seed": 1}, "shard_index=2 must be one of 0 to 1"),
        ({"first_position": -1}, "first_position=-1 must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused_when_the_net_is_made(changes, message, database):
    with pytest.raises(RuntimeError, match=message):
        Operator(database, {**BASE, **changes})
