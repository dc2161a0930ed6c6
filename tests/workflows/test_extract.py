from __future__ import annotations

import json

import numpy as np
import pytest

from tests.golden import SHARED, needs_shared
from vmz.errors import UsageError, VmzError
from vmz.features.table import ArrayTable
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.arguments import VideoInputArgs
from vmz.video.order import ReadingOrder
from vmz.workflows.extract import check_features, clip_accuracy, position_after
from vmz.workflows.flags import ENGINE_FLAGS, EXTRACT_DEFAULTS, EXTRACT_FLAGS, MODEL_FLAGS, READER_FLAGS

# Where our default is not the original's, and why.
TRAPS = {
    "num_gpus": "the original asks for a GPU even where there is none",
    "db_type": "the original takes every file for a pickle unless told otherwise",
    "load_model_path": "None for not given",
    "test_data": "None for not given",
    "output_path": "None for not given",
}


@needs_shared
def test_every_flag_of_the_original_is_here_with_its_default() -> None:
    tools = json.loads((SHARED / "spec" / "flags.json").read_text())["tools"]
    table = {**MODEL_FLAGS, **READER_FLAGS, **ENGINE_FLAGS, **EXTRACT_FLAGS}
    for flag in tools["extract_features"]["flags"]:
        name = flag["flag"].lstrip("-")
        assert name in table, name
        if name not in TRAPS:
            assert EXTRACT_DEFAULTS.get(name, table[name].default) == flag["default"], name


@pytest.mark.parametrize("world", [1, 3])
def test_a_reader_goes_on_behind_a_record(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", str(world))
    for rank in range(world):
        sizes = {"batch_size": 4, "shard_index": rank, "shard_count": world, "wrap_around": 0}
        order = ReadingOrder(29, VideoInputArgs(**sizes))
        for position in range(29):
            place = order.at(position)
            if place is not None:
                assert position_after(place[1], 4) == position + 1


def test_the_accuracy_of_clips() -> None:
    softmax = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    table = ArrayTable({"softmax": softmax.reshape(5, 4, 1, 1, 1), "label": np.array([0, 1, 1, 3, 3], np.int32)})
    assert clip_accuracy(table) == 0.6
    with pytest.raises(VmzError, match="none of the 4 classes"):
        clip_accuracy(ArrayTable({"softmax": softmax, "label": np.array([0, 1, 1, 3, 4], np.int32)}))


def test_what_can_be_a_feature() -> None:
    model = build(ModelConfig("r2plus1d", 10, channel_multiplier=0.1, clip_length=4, num_labels=5))
    check_features(model, ["final_avg", "softmax", "label", "data", "comp_0_conv_1_middle"])
    with pytest.raises(UsageError, match=r"among its .* blobs are .*comp_0_spatbn_1"):
        check_features(model, ["comp_0_spatbn"])
    with pytest.raises(UsageError, match="a parameter of the network"):
        check_features(model, ["comp_0_spatbn_1_rm"])
