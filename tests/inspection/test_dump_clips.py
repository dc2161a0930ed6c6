import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import without_caffe2
from tests.goldens.reader_cases import FLOW_MEAN, cases_of
from tests.goldens.recordings import video_path
from vmz.cli.dump_clips import write_sheet
from vmz.inspection.contact_sheet import (
    PAGE_ROWS,
    PAGES,
    flow_to_pixels,
    logmels_to_pixels,
    sheet_paths,
    write_contact_sheet,
)
from vmz.inspection.dump_clips import Dump
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.frames import flow
from vmz.video.frames.scaling import to_pixels

TOOL = Path(__file__).resolve().parents[2] / "tools" / "dump_clips.py"


def run(*flags, cwd):
    command = [sys.executable, str(TOOL), *map(str, flags)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def make(path, *videos, **record):
    with DatabaseWriter(path) as writer:
        for number, video in enumerate(videos):
            content = video if isinstance(video, bytes) else video_path(video).read_bytes()
            writer.write(Record(str(number).encode(), content, **{"labels": (number + 3,), **record}))
    return path


@pytest.mark.parametrize(
    ("video", "number"), [("portrait.mp4", 0), ("portrait.mp4", 23), ("portrait.mp4", 37), ("h265.mp4", 19)]
)
def test_a_golden_case_through_the_tool(video, number, tmp_path):
    """As someone would who holds the original's output: --args takes the operator's arguments as they are."""
    case = next(case for case in cases_of(video) if case["case"] == number)
    held = case["record"]
    content = str(video_path(video)).encode() if case["args"].get("use_local_file") else video_path(video).read_bytes()
    make(
        tmp_path / "db",
        content,
        labels=tuple(held["labels"]),
        **{
            ours: held[theirs]
            for ours, theirs in (("start_frame", "start_frm"), ("video_id", "video_id"))
            if theirs in held
        },
    )
    done = run(
        "--test_data=db", f"--args={json.dumps(case['args'])}", "--num_batches=1", "--output=o.npz", cwd=tmp_path
    )
    if not case["decoded"]:
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: record 0 of db: ")
        assert not (tmp_path / "o.npz").exists()
        return
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "o.npz") as dumped:
        assert set(dumped) == {*case["out"], "key"}
        for name, wanted in case["out"].items():
            assert (list(dumped[name].shape), str(dumped[name].dtype)) == (wanted["shape"], wanted["dtype"])
        places = np.random.RandomState(number).randint(0, dumped["data"].size, 64)
        assert dumped["data"].ravel()[places].tolist() == case["out"]["data"]["sample_values"]
        if "flow" in case["out"]:
            places = np.random.RandomState(number).randint(0, dumped["flow"].size, 64)
            difference = dumped["flow"].ravel()[places] - case["out"]["flow"]["sample_values"]
            assert np.abs(difference).mean() < FLOW_MEAN


def test_flags_one_pass_and_a_contact_sheet(tmp_path):
    image = pytest.importorskip("PIL.Image")
    make(tmp_path / "db", "portrait.mp4", b"text" * 500, "h265.mp4", "five_frames.mp4")
    flags = ["--test_data=db", "--num_batches=0", "--batch_size=2", "--clip_per_video=2", "--on_bad_video=skip"]
    done = run(*flags, "--output=o.npz", "--contact_sheet=sheet.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        "data: float32 4 x 3 x 8 x 112 x 112",
        "label: int32 4",
        "key: <U1 4",
        "2 bad videos left out:",
    ]
    assert done.stdout.splitlines()[5] == (
        "  record 3: 5 frames, but 8 are needed for --clip_length_rgb=8 --sampling_rate_rgb=1"
    )
    with np.load(tmp_path / "o.npz") as dumped:
        assert dumped["label"].tolist() == [3, 3, 5, 5]
        assert dumped["key"].tolist() == ["0", "0", "2", "2"]
        first = to_pixels(dumped["data"][2])
    with image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (150 + 8 * 114, 4 * 114)
        shown = np.asarray(sheet)[2 * 114 : 2 * 114 + 112, 150 : 150 + 112]
    assert np.array_equal(shown, first[:, 0].transpose(1, 2, 0))


def test_flow_by_flags_and_its_contact_sheet(tmp_path):
    image = pytest.importorskip("PIL.Image")
    make(tmp_path / "db", "portrait.mp4")
    flags = ["--test_data=db", "--input_type=1", "--clip_length_of=4", "--flow_data_type=2", "--batch_size=1"]
    done = run(*flags, "--clip_per_video=2", "--output=o.npz", "--contact_sheet=sheet.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "flow: float32 2 x 3 x 4 x 112 x 112", "label: int32 2", "key: <U1 2", "wrote sheet.png: clips 1 to 2",
    ]  # fmt: skip
    with np.load(tmp_path / "o.npz") as dumped:
        shown = flow_to_pixels(dumped["flow"][1])
    with image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (150 + 4 * 114, 2 * 114)
        last = np.asarray(sheet)[114 : 114 + 112, 150 + 3 * 114 : 150 + 3 * 114 + 112]
    assert np.array_equal(last, shown[:, 3].transpose(1, 2, 0))


def test_a_sheet_of_many_clips_is_several_pictures(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    clips = 2 * PAGE_ROWS + 1
    levels = np.linspace(-2, 2, clips, dtype=np.float32)
    arrays = {"data": np.broadcast_to(levels[:, None, None, None, None], (clips, 3, 2, 112, 112))}
    dump = Dump(1, {**arrays, "label": np.arange(clips), "key": np.arange(clips).astype(str)})
    write_sheet(dump, str(tmp_path / "clips.png"))
    assert capsys.readouterr().out.splitlines() == [
        f"wrote {tmp_path / 'clips.png'}: clips 1 to 25",
        f"wrote {tmp_path / 'clips_2.png'}: clips 26 to 50",
        f"wrote {tmp_path / 'clips_3.png'}: clip 51",
    ]
    for page, rows in enumerate((25, 25, 1)):
        path = tmp_path / ("clips.png" if not page else f"clips_{page + 1}.png")
        with image.open(path) as sheet:
            assert sheet.size == (150 + 2 * 114, rows * 114)
            wanted = to_pixels(dump.arrays["data"][25 * page])[:, 0, 0, 0]
            assert np.asarray(sheet)[50, 200].tolist() == wanted.tolist()


def test_a_sheet_ends_somewhere():
    assert [path.name for path in sheet_paths("a.b/c.png", 10**6)][-1] == f"c_{PAGES}.png"


def test_pixels_of_flow_are_gray_where_nothing_moves():
    motion = np.zeros((2, 1, 2, 2), np.float32)
    motion[0, 0, 0, 0], motion[1, 0, 1, 1] = 5, -100
    normalised = (motion - flow.MEAN[:2].reshape(2, 1, 1, 1)) / flow.STD[:2].reshape(2, 1, 1, 1)
    pixels = flow_to_pixels(normalised)
    assert pixels[:, 0, 0, 1].tolist() == [128, 128, 128]
    assert pixels[:, 0, 0, 0].tolist() == [188, 128, 128]
    assert pixels[:, 0, 1, 1].tolist() == [128, 0, 128]


def test_log_mels_stand_beside_the_frames_low_tones_at_the_bottom(tmp_path):
    image = pytest.importorskip("PIL.Image")
    maps = np.zeros((2, 1, 100, 40), np.float32)
    maps[1, 0, 99, 39], maps[1, 0, 0, 0] = 12.5, 30
    pixels = logmels_to_pixels(maps[1, 0])
    assert pixels.shape == (40, 100) and pixels[0, 99] == 128 and pixels[39, 0] == 255 and pixels.sum() == 383
    dump = Dump(1, {"logmels": maps, "label": np.arange(2), "key": np.array(["a", "b"])})
    pictures = {"data": np.zeros((2, 3, 2, 112, 112), np.float32)}
    for arrays, left, high in (({}, 150, 82), (pictures, 150 + 2 * 114, 114)):
        dump.arrays.update(arrays)
        (path,) = write_contact_sheet(dump, tmp_path / "sheet.png")
        with image.open(path) as sheet:
            assert sheet.size == (left + 202, 2 * high)
            shown = np.asarray(sheet)[high : high + 80, left : left + 200, 0]
        assert np.array_equal(shown[::2, ::2], pixels)


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ((), 2, "--test_data is not given"),
        (("--test_data=none",), 2, "no such database: none"),
        (("--test_data=.",), 2, "it contains an LMDB, ./db; give that one"),
        (("--test_data=db", "--args={"), 2, "--args is not JSON"),
        (("--test_data=db", "--args=[1]"), 2, "--args is not as expected: it is [1], not an object"),
        (("--test_data=db", '--args={"crop": 1}'), 2, "no argument 'crop'"),
        (("--test_data=db", '--args={"get_rgb": 0}'), 2, "get_rgb=0 and get_optical_flow=0 leave nothing to read"),
        pytest.param(("--test_data=db", "--engine=caffe2"), 2, "caffe2", marks=without_caffe2),
        (("--test_data=db", "--output=none/o.npz"), 2, "--output=none/o.npz: there is no folder"),
        (("--test_data=db", "--crop_size=224"), 2, "scale_h=128 is smaller than crop_size=224"),
    ],
)
def test_wrong_requests_are_one_sentence(flags, status, message, tmp_path):
    make(tmp_path / "db", "h265.mp4")
    done = run(*flags, cwd=tmp_path)
    assert done.returncode == status
    errors = [line for line in done.stderr.splitlines() if not line.startswith("reading ")]
    assert len(errors) == 1
    assert message in errors[0]
