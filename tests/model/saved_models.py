"""A small checkpoint of one's own, and a private zoo with it, for tests of saving and sharing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build

ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_caffe2)]
NETWORK: dict[str, Any] = {
    "model_name": "r3d", "model_depth": 10, "num_labels": 4, "channel_multiplier": 0.1,
}  # fmt: skip
CLIPS: dict[str, Any] = {"clip_length_rgb": 8, "scale_w": 200, "sampling_rate_rgb": 2, "test_clip_per_video": 3}
LABELS = ["back", "forth", "left", "right"]
needs_safetensors = pytest.mark.skipif(find_spec("safetensors") is None, reason="the package safetensors is not here")


def weights_of(**changes: Any) -> dict[str, np.ndarray]:
    model = build(ModelConfig(**{**NETWORK, "clip_length": 8, **changes}), scope="")
    return seeded_weights([*model.params, *model.computed_params], seed=5)


def own_checkpoint(path: Path) -> str:
    """As a training leaves one."""
    metrics = {"epoch": 3, "iteration": 12, "figures": {"video@1": 0.75}, "test_videos": 8}
    save_pickle(path, weights_of(), {"protocol": {**NETWORK, **CLIPS}, "labels": LABELS, "metrics": metrics})
    return str(path)


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """A row of a manifest."""
    flags = {
        **NETWORK,
        "num_channels": 3, "input_type": 0, "clip_length_rgb": 8, "sampling_rate_rgb": 1, "video_res_type": 1,
        "scale_h": 128, "scale_w": 171, "crop_size": 112, "use_pool1": 0, "batch_size": 1,
    }  # fmt: skip
    row: dict[str, Any] = {
        "name": name, "display_name": "Our R3D", "file": "own.pkl", "url": "weights/own.pkl", "format": "pkl",
        "role": "final", "initialised_from": None, "train_data": "Our videos", "pretrain_data": None,
        "modality": "RGB", "input_fps": 25, "input_size_as_printed": None, "flags": flags, "protocol": "wide",
        "published": {
            "clip_top1": None, "video_top1": 91.5, "video_top5": None, "gflops": None, "params_m": None,
            "gflops_crop_size": None,
        },
        "external": None, "source": "our wiki", "remarks": ["for the tests"], "labels": "names.txt",
        "licence": "ours alone",
    }  # fmt: skip
    return {**row, **changes}


def private_zoo(folder: Path, *entries: dict[str, Any], **top: Any) -> Path:
    """A manifest whose protocol has three crops and the fully convolutional head, names of classes, weights."""
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    save_pickle(folder / "weights" / "own.pkl", weights_of())
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in LABELS))
    wide = {
        "crop_size": 128, "scale_h": 128, "scale_w": 171, "use_convolutional_pred": 1, "clip_per_video": 2,
        "crop_per_clip": 3, "aggregation": 1,
    }  # fmt: skip
    content = {
        "about": "ours",
        "protocols": {"wide": {"flags": wide, "source": "our wiki", "remark": "as we test"}},
        "data_recipes": {},
        "models": list(entries) or [entry("our_r3d")],
        "other_files": [],
        **top,
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path
