from __future__ import annotations

import pytest

from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.families import ALL_DEPTHS
from vmz.models.registry import MODEL_NAMES, build


def test_there_are_fifteen_names() -> None:
    assert len(MODEL_NAMES) == 15


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"model_name": "r3e"}, "model_name 'r3e'.*did you mean r3d"),
        ({"model_depth": 20}, "model_depth is 20.*10 or 16 or 18"),
        *[({"model_name": "ir-csn", "model_depth": depth}, "model_depth") for depth in (10, 16, 18, 34)],
        ({"crop_size": 128}, "crop_size 128 needs use_convolutional_pred"),
        ({"crop_size": 113}, "crop_size is 113.*112 or 224"),
        ({"crop_size": 112, "use_convolutional_pred": 1}, "crop_size is 112.*128 or 256 or 320"),
        ({"use_pool1": 1}, "use_pool1 with crop_size 112"),
        ({"clip_length": 7}, "clip_length 7 is odd"),
        ({"clip_length": 0}, "clip_length is 0"),
        ({"num_labels": 0}, "num_labels is 0"),
        ({"num_labels": "400"}, "num_labels is '400'.*integer"),
        ({"multi_label": 2}, "multi_label is 2.*0 or 1"),
        ({"model_name": "c3d", "clip_length": 8}, "clip_length is 8.*c3d accepts 16"),
        ({"model_name": "c3d", "crop_size": 224}, "crop_size is 224"),
        ({"model_name": "mc3", "conv1_temporal_kernel": 5}, "conv1_temporal_kernel is 5.*mc3 accepts 3"),
        ({"conv1_temporal_kernel": 4}, "conv1_temporal_kernel is 4.*3 or 5"),
        ({"channel_multiplier": 0.01}, "channel_multiplier is 0.01"),
        ({"channel_multiplier": 0.1, "bottleneck_multiplier": 0.1}, "together leave no channel"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"clip_lenght": 8}, "clip_lenght.*did you mean clip_length"),
    ],
)
def test_wrong_combinations_are_refused_by_name(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        ModelConfig.from_mapping(arguments)


def test_odd_clips_are_for_r2d_and_r2df() -> None:
    for name in ("r2d", "r2df"):
        assert build(ModelConfig(model_name=name, clip_length=7)).costs()


def test_the_convolutional_head_is_for_testing() -> None:
    config = ModelConfig(crop_size=256, use_pool1=True, use_convolutional_pred=True)
    with pytest.raises(UsageError, match="use_convolutional_pred"):
        build(config, is_test=False)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_name_builds_and_fits_at_every_depth_and_crop(name: str) -> None:
    depths = [26, 50, 101, 152] if name == "ir-csn" else ALL_DEPTHS
    crops = [(112, False, False)]
    if name != "c3d":
        crops += [
            (224, False, False),
            (224, True, False),
            (128, False, True),
            (256, False, True),
            (256, True, True),
            (320, True, True),
        ]
    for depth in depths:
        for crop, pool1, convolutional in crops:
            config = ModelConfig(
                model_name=name,
                model_depth=depth,
                crop_size=crop,
                use_pool1=pool1,
                use_convolutional_pred=convolutional,
            )
            shapes = {cost.blob: cost.shape for cost in build(config, scope="").costs()}
            assert shapes["softmax"] == (1, 101)
