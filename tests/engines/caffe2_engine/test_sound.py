"""Sound through the Caffe2 engine: log-mels beside clips, and what is reported of videos that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_operators
from tests.support.sound_videos import KINDS
from vmz.engines.caffe2_engine.workspace import Workspace
from vmz.engines.registry import open_engine
from vmz.errors import VmzError
from vmz.netdef.builder import NetBuilder
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.faults import SOUND_REMEDY
from vmz.video.reader import BadVideoError, EndOfData

pytestmark = needs_operators

FILES = ("AAC, stereo, 48 kHz", "absent", "Opus in MP4")
READER: dict[str, Any] = {
    **{"batch_size": 1, "length_rgb": 4, "crop_size": 32, "scale_h": 32, "scale_w": 40},
    **{"random_crop": 0, "random_mirror": 0, "decode_type": 1, "wrap_around": 0, "get_logmels": 1},
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "db"
    with DatabaseWriter(path) as writer:
        for number, name in enumerate(FILES):
            writer.write(Record(str(number).encode(), KINDS[name].file(), (number,), None, None))
    return path


def reading(path: Path, **arguments: Any) -> NetBuilder:
    net = NetBuilder("sound", is_test=True)
    given = {**READER, **arguments}
    add_video_input(net, VideoSource(str(path), given, operator="AVInput", stop_gradient=False))
    return net


def batches(path: Path, **arguments: Any) -> tuple[list[dict[str, np.ndarray]], list[Any]]:
    """All batches of one pass, and the videos without sound after it."""
    net, found = reading(path, **arguments), []
    names = ("data", "logmels") if arguments.get("get_rgb") else ("data",)
    with open_engine("caffe2") as engine:
        engine.load(net.init_net, net.net)
        with pytest.raises(EndOfData):
            while True:
                engine.run()
                found.append({name: engine.fetch(name) for name in (*names, "label")})
        return found, engine.without_sound


def test_log_mels_are_the_data_of_a_network_that_only_hears(database: Path) -> None:
    seen, silent_seen = batches(database, get_rgb=1)
    heard, silent_heard = batches(database)
    assert [one["logmels"].shape for one in seen] == [(1, 1, 100, 40)] * 3
    assert [one["data"].shape for one in seen] == [(1, 3, 4, 32, 32)] * 3
    assert [bool(one["data"].any()) for one in heard] == [True, False, True]
    for silent in (silent_seen, silent_heard):
        assert [(one.key, one.reason) for one in silent] == [("1", "it has no audio stream")]


def test_missing_sound_is_an_error_that_names_the_video_or_leaves_it_out(database: Path) -> None:
    kept, silent = batches(database, on_missing_audio="skip")
    assert [int(one["label"][0]) for one in kept] == [0, 2] and silent == []
    net = reading(database, on_missing_audio="stop")
    with open_engine("caffe2") as engine:
        engine.load(net.init_net, net.net)
        engine.run()
        with pytest.raises(BadVideoError) as raised:
            engine.run()
        assert str(raised.value) == f"record 1 of {database}: it has no audio stream; {SOUND_REMEDY}"
        assert [bad.reason for bad in engine.skipped] == ["it has no audio stream"]


def test_what_the_operator_refuses_is_one_sentence(database: Path) -> None:
    net = reading(database, random_sampling_rate=3)
    with open_engine("caffe2") as engine, pytest.raises(VmzError) as raised:
        engine.load(net.init_net, net.net)
        engine.run()
    assert (
        str(raised.value)
        == "AVInput: random_sampling_rate=3 is not possible with sound (AVInput); set random_sampling_rate=0"
    )


def test_a_workspace_without_readers_reports_nothing() -> None:
    assert Workspace().without_sound == []
