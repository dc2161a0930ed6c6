"""VideoInput of the C++ library, as a Caffe2 program meets it."""

import numpy as np
import pytest

from tests.ops.helpers.databases import BASE, ODD, SHORT, TALL, record, value, write
from tests.ops.helpers.operator import Operator, core, needs_library, opened, workspace
from tests.support.optionals import present
from vmz.video.arguments import VideoInputArgs
from vmz.video.reader import ClipReader

pytestmark = needs_library

TRAINING = {**BASE, "decode_type": 0, "random_crop": 1, "random_mirror": 1, "seed": 5}


@pytest.fixture(autouse=True)
def clean():
    yield
    workspace.ResetWorkspace()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Seven records; the labels are their places, the ids ten times those."""
    videos = [TALL, ODD, TALL, TALL, ODD, TALL, ODD]
    records = [record(video, place, 2, 10 * place) for place, video in enumerate(videos)]
    return write(tmp_path_factory.mktemp("op") / "db", records)


def passes(operator, batches):
    return [operator.run() for _ in range(batches)]


def test_outputs_in_their_order(database):
    args = {
        **BASE,
        "batch_size": 2,
        "decode_type": 2,
        **dict.fromkeys(("get_video_id", "get_start_frame", "get_record_index", "get_skipped"), 1),
    }
    with opened(database, args) as operator:
        operator.run()
        batch = operator.run()
    assert {name: (array.dtype.name, array.shape) for name, array in batch.items() if name != "skipped"} == {
        "data": ("float32", (2, 3, 8, 112, 112)),
        "label": ("int32", (2,)),
        "video_id": ("int64", (2,)),
        "start_frame": ("int32", (2,)),
        "record_index": ("int64", (2,)),
    }
    assert batch["label"].tolist() == batch["record_index"].tolist() == [2, 3]
    assert batch["video_id"].tolist() == [20, 30] and batch["start_frame"].tolist() == [2, 2]


def test_the_same_clips_as_the_python_reader(database):
    args = {**BASE, "batch_size": 3, "clip_per_video": 2, "crop_per_clip": 3, "wrap_around": 0, "get_video_id": 1}
    with ClipReader(database, VideoInputArgs.from_mapping(args)) as reader, opened(database, args) as operator:
        for _ in range(3):
            ours, theirs = operator.run(), reader.next_batch()
            assert ours["label"].tolist() == theirs.label.tolist()
            assert ours["video_id"].tolist() == present(theirs.video_id).tolist()
            alike = ours["label"] != 2  # h265.mp4 scaled in width only, where FFmpeg 8 of PyAV differs
            assert np.array_equal(ours["data"][alike], present(theirs.data)[alike])


def test_one_pass(database):
    with opened(database, {**BASE, "batch_size": 3, "wrap_around": 0}) as operator:
        assert [batch["label"].tolist() for batch in passes(operator, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
        for _ in range(2):
            with pytest.raises(RuntimeError, match="EndOfData: all 7 records of the database have been read once"):
                operator.run()
        # The net made anew starts from the beginning.
        workspace.CreateNet(operator.net, overwrite=True)
        assert operator.run()["label"].tolist() == [0, 1, 2]
        workspace.CreateNet(operator.net, overwrite=True)  # in the middle of a pass, too
        assert operator.run()["label"].tolist() == [0, 1, 2]


def test_passes_without_end(database):
    with opened(database, {**BASE, "batch_size": 3, "get_record_index": 1}) as operator:
        batches = passes(operator, 5)
    assert [i for batch in batches for i in batch["record_index"]] == [*range(7), *range(7), 0]


def test_a_seed_decides_and_threads_do_not(database):
    def clips(**changes):
        with opened(database, {**TRAINING, "batch_size": 2, **changes}) as operator:
            return np.stack([batch["data"] for batch in passes(operator, 8)])

    one = clips(num_decode_threads=1)
    assert np.array_equal(one, clips(num_decode_threads=4))
    assert not np.array_equal(one, clips(seed=6))
    assert not np.array_equal(clips(seed=0), clips(seed=0))
    rows = one.reshape(16, -1)
    assert not any(np.array_equal(rows[i], rows[i + 7]) for i in range(7))  # each pass draws anew


def test_random_draws_cover_their_ranges(tmp_path):
    path = write(tmp_path / "db", [record(TALL)])
    args = {**TRAINING, "length_rgb": 1, "video_res_type": 1, "short_edge": 115, "batch_size": 40}
    with opened(path, {**args, "decode_type": 1}) as operator:  # always frame 0: what differs is crop and mirror
        first = {clip.tobytes() for batch in passes(operator, 10) for clip in batch["data"]}
    with opened(path, {**args, "decode_type": 1, "random_crop": 0}) as operator:
        mirrored = {clip.tobytes() for clip in operator.run()["data"]}
    with opened(path, {**args, "random_crop": 0, "random_mirror": 0}) as operator:
        starts = {clip.tobytes() for clip in operator.run()["data"]}
    assert len(first) > 200 and len(mirrored) == 2 and len(starts) > 20


@pytest.mark.long
def test_random_starts_where_few_frames_are_left_are_drawn_by_number(tmp_path):
    """A video of varying rate: now and then fewer frames follow a start than an even rate would have."""
    path = write(tmp_path / "db", [record("skeleton.mp4")])
    args = {**TRAINING, "batch_size": 24, "random_crop": 0, "random_mirror": 0, "scale_h": 112, "scale_w": 112}
    with opened(path, args) as operator:
        assert len({clip.tobytes() for clip in operator.run()["data"]}) > 14
    with (
        opened(path, {**args, "original_start_faults": 1}) as operator,
        pytest.raises(RuntimeError, match="from its start frame on, but 8 are needed"),
    ):
        operator.run()


def test_many_labels(tmp_path):
    one = record(TALL)
    path = write(tmp_path / "db", [type(one)(b"", one.video, (1, 4)), type(one)(b"", one.video, (0,))])
    args = {**BASE, "batch_size": 2, "clip_per_video": 2, "do_multi_label": 1, "num_of_class": 6}
    with opened(path, args) as operator:
        labels = operator.run()["label"]
    assert labels.dtype == np.int32
    assert labels.tolist() == [[0, 1, 0, 0, 1, 0]] * 2 + [[1, 0, 0, 0, 0, 0]] * 2


def test_any_db_type(database, tmp_path):
    import lmdb

    path = tmp_path / "mini.db"
    with lmdb.open(str(database), readonly=True, lock=False) as environment, environment.begin() as transaction:
        pairs = [(bytes(key), bytes(content)) for key, content in transaction.cursor()]
    with open(path, "wb") as file:  # minidb: lengths of key and value in native ints, then both
        for key, content in pairs:
            file.write(np.array([len(key), len(content)], np.int32).tobytes() + key + content)
    with opened(path, {**BASE, "batch_size": 4, "wrap_around": 0}, db_type="minidb") as operator:
        assert [batch["label"].tolist() for batch in passes(operator, 2)] == [[0, 1, 2, 3], [4, 5, 6]]
        with pytest.raises(RuntimeError, match="EndOfData"):
            operator.run()


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards(database, shards):
    for shard in range(shards):
        args = {**BASE, "wrap_around": 0, "get_record_index": 1}
        with opened(database, args) as operator:
            operator.open(database, num_shards=shards, shard_id=shard)
            workspace.CreateNet(operator.net, overwrite=True)
            wanted = list(range(shard, 7, shards))
            found = passes(operator, len(wanted))
            assert [int(batch["label"]) for batch in found] == [int(batch["record_index"]) for batch in found] == wanted
            with pytest.raises(RuntimeError, match=f"EndOfData: all {len(wanted)} records"):
                operator.run()


def test_operators_of_several_devices_share_a_reader(database):
    args = {**BASE, "num_decode_threads": 1, "wrap_around": 0}
    Operator.open(database)
    nets = []
    for device in range(2):
        net = core.Net(f"device{device}")
        net.VideoInput(["reader"], [f"data{device}", f"label{device}"], **args)
        workspace.CreateNet(net)
        nets.append(net)
    seen = []
    for device in (0, 1) * 6:
        try:
            workspace.RunNet(nets[device])
            seen.append(int(workspace.FetchBlob(f"label{device}")))
        except RuntimeError as error:
            assert "EndOfData" in str(error)
    assert sorted(seen) == list(range(7))  # each record once, by one of the two


@pytest.mark.parametrize("net_type", ["simple", "dag", "async_scheduling"])
def test_errors_come_through_every_kind_of_net(net_type, tmp_path):
    path = write(tmp_path / "db", [record(TALL), record(SHORT)])
    with opened(path, BASE, net_type=net_type) as operator:
        operator.run()
        for _ in range(2):
            with pytest.raises(RuntimeError, match="record 00001: 5 frames, but 8 are needed"):
                operator.run()


def test_no_prefetch(database):
    with opened(database, {**BASE, "no_prefetch": 1, "wrap_around": 0, "batch_size": 4}) as operator:
        assert [batch["label"].tolist() for batch in passes(operator, 2)] == [[0, 1, 2, 3], [4, 5, 6]]
        with pytest.raises(RuntimeError, match="EndOfData"):
            operator.run()


def test_a_reader_opened_again_under_the_net(database, tmp_path):
    other = write(tmp_path / "db", [record(ODD, 50), record(ODD, 51)])
    with opened(database, {**BASE, "batch_size": 7}) as operator:
        operator.run()
        operator.open(other)
        labels = {int(label) for batch in passes(operator, 6) for label in batch["label"]}
    assert {50, 51} <= labels


@pytest.mark.parametrize("changes", [{}, {"shuffle": 1, "seed": 3}])
def test_a_reader_opened_again_and_again_while_the_operator_reads(tmp_path, changes):
    """Opening destroys the cursor that the operator's threads use, and often makes the next at the same address."""
    numbers = (10, 20, 30)
    databases = [write(tmp_path / str(n), [record(ODD, n + i) for i in range(n // 10)]) for n in numbers]
    labels = set()
    with opened(databases[0], {**BASE, **changes, "batch_size": 1}) as operator:
        for _ in range(60):
            for database in databases:
                operator.open(database)
                try:
                    labels |= {int(operator.run()["label"][0])}
                except RuntimeError as error:  # in an order of their own: the keys are those of the database before
                    assert "is no longer in the database" in str(error), error
    assert labels <= {10, 20, 21, 30, 31, 32}
    assert len(labels) > 1 or changes


def test_blobs_that_hold_no_database(database):
    with opened(database, BASE) as operator:
        workspace.FeedBlob("reader", np.zeros(3, np.float32))
        workspace.CreateNet(operator.net, overwrite=True)
        with pytest.raises(RuntimeError, match="its input contains no DBReader"):
            operator.run()


def test_an_empty_database(tmp_path):
    import lmdb

    with lmdb.open(str(tmp_path / "db")):
        pass
    with opened(tmp_path / "db", BASE) as operator, pytest.raises(RuntimeError, match="contains no records"):
        operator.run()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_sise": 2}, 'there is no argument "batch_sise"; it has autorotate, batch_size'),
        ({"batch_size": "two"}, "batch_size must be an integer"),
        ({"batch_size": 1.5}, "batch_size must be an integer"),
        ({"clip_start_positions": 3}, "clip_start_positions must be a list of integers"),
        ({"jitter_scales": [128.5]}, "jitter_scales must be a list of integers"),
        ({"on_bad_video": 1}, "on_bad_video must be a string"),
        ({"on_bad_video": "go on"}, 'on_bad_video="go on" must be one of stop, skip'),
        ({"batch_size": 1 << 40}, "batch_size=1099511627776 is too large"),
        ({"batch_size": 1 << 30, "length_rgb": 1 << 30}, "more than a computer can store"),
        ({"get_rgb": 0}, "get_rgb=0 and get_optical_flow=0 leave nothing to read"),
        ({"get_optical_flow": 1}, "length_of=0 must be at least 1"),
        ({"get_optical_flow": 1, "length_of": 4, "flow_alg_type": 1}, "flow_alg_type=1 has no CPU version"),
        ({"image_as_input": 1}, "length_rgb=8 with image_as_input=1"),
    ],
)
def test_wrong_arguments_are_refused_when_the_net_is_made(changes, message, database):
    with pytest.raises(RuntimeError, match=message.replace("[", r"\[")):
        Operator(database, {**BASE, **changes})


def test_arguments_of_other_operators_are_passed_over(database):
    with opened(database, {**BASE, "input_type": 0, "get_logmels": 0, "order": "NCHW", "cudnn_exhaustive_search": 1}):
        pass


def test_outputs_must_fit_the_arguments(database):
    operator = Operator(database, BASE)
    net = core.Net("wrong")
    net.VideoInput(["reader"], ["data", "label"], **{**BASE, "get_video_id": 1})
    with pytest.raises(RuntimeError, match=r"it has 3 outputs \(data, label, video_id\), not 2"):
        workspace.CreateNet(net)
    assert operator.run()["label"].tolist() == [0]


def test_shapes_are_inferred(database):
    args = {**BASE, "batch_size": 2, "clip_per_video": 3, "get_record_index": 1, "get_skipped": 1}
    shapes, _ = workspace.InferShapesAndTypes([Operator(database, args).net])
    assert shapes["data"] == [6, 3, 8, 112, 112]
    assert shapes["label"] == [6] and shapes["record_index"] == [2]


def test_records_with_their_tensors_in_another_order(tmp_path):
    from tests.ops.helpers.databases import shuffled_tensors, write_values

    one = record(TALL, 4, None, 9)
    path = write_values(tmp_path / "db", [value(one), shuffled_tensors(one)])
    with opened(path, {**BASE, "batch_size": 2, "get_video_id": 1}) as operator:
        batch = operator.run()
    assert batch["label"].tolist() == [4, 4] and batch["video_id"].tolist() == [9, 9]
    assert np.array_equal(batch["data"][0], batch["data"][1])
