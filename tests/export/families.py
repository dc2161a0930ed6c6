"""A small network of each family, and what other programs compute of its exported files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vmz.checkpoints.seeded import seeded_weights
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig
from vmz.models.families import SOUND_NAMES
from vmz.models.registry import ALL_NAMES, build

_SMALL: dict[str, Any] = {"clip_length": 8, "num_labels": 5, "channel_multiplier": 0.25}
_CONVOLUTIONAL: dict[str, Any] = {"use_convolutional_pred": True, "crop_size": 128}
_OWN: dict[str, dict[str, Any]] = {
    "c3d": {"model_depth": 16, "clip_length": 16, "channel_multiplier": 1.0},
    "ip-csn": {"model_depth": 26},
    "ir-csn": {"model_depth": 26},
    **{name: {"model_depth": 26} for name in SOUND_NAMES},
}


def _family(model_name: str, **more: Any) -> dict[str, Any]:
    return {"model_name": model_name, "model_depth": 10, **_SMALL, **_OWN.get(model_name, {}), **more}


FAMILIES: Mapping[str, dict[str, Any]] = {
    **{name: _family(name) for name in ALL_NAMES},
    "mc3, convolutional": _family("mc3", **_CONVOLUTIONAL),
    "ir-csn, convolutional": _family("ir-csn", **_CONVOLUTIONAL),
    "ip-csn, convolutional": _family("ip-csn", **_CONVOLUTIONAL),
    "av_resnet-r3d, convolutional": _family("av_resnet-r3d", **_CONVOLUTIONAL),
    "av_resnet-r3d, blended, maps in 3-D": _family("av_resnet-r3d", g_blend=True, audio_input_3d=True),
    "r3d, multi-label": _family("r3d", multi_label=True),
    "r3d, convolutional, multi-label": _family("r3d", multi_label=True, **_CONVOLUTIONAL),
    "r2plus1d, optical flow": _family("r2plus1d", num_channels=2),
    "ir-csn of crop 224, pool1": _family("ir-csn", use_pool1=True, crop_size=224),
    "r2plus1d, dropout": _family("r2plus1d", use_dropout=True),
}


def model_of(family: str) -> VideoModel:
    config = ModelConfig(**FAMILIES[family])
    net = build(config, scope="")
    return VideoModel(config, seeded_weights([*net.params, *net.computed_params], seed=2))


def clips_and_scores(model: VideoModel, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Random clips (and log-mels, where it hears too), and the model's scores of them."""
    random = torch.Generator().manual_seed(7)
    given = [torch.randn(count, *shape, generator=random) for shape in model.input_shapes.values()]
    with torch.no_grad():
        return [one.numpy() for one in given], model.probabilities(*given).numpy()


class InOnnxRuntime:
    """An ONNX file in ONNX Runtime: its names of inputs and outputs, and logits and scores of clips."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self._session.get_inputs()]
        self.outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, given: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        logits, scores = self._session.run(self.outputs, dict(zip(self.inputs, given)))
        return logits, scores


class InCaffe2:
    """Files of Caffe2 nets, or a predictor export, in real Caffe2; a new one empties the workspace of the last."""

    def __init__(self, paths: Sequence[Path], output: str, inputs: Sequence[str] = ("data",)) -> None:
        from caffe2.proto import caffe2_pb2
        from caffe2.python import workspace
        from caffe2.python.predictor import predictor_exporter
        from google.protobuf import text_format

        workspace.ResetWorkspace()
        self._workspace, self._output, self._inputs = workspace, output, inputs
        if paths[0].suffix == ".mdl":
            self._net = predictor_exporter.prepare_prediction_net(str(paths[0]), "minidb")
            return
        nets = []
        for path in paths:
            nets.append(caffe2_pb2.NetDef())
            if path.suffix == ".pb":
                nets[-1].ParseFromString(path.read_bytes())
            else:
                text_format.Parse(path.read_text(), nets[-1])
        workspace.RunNetOnce(nets[1])
        for blob in inputs:
            workspace.FeedBlob(blob, np.zeros((1, 1), np.float32))
        self._net = nets[0].name
        workspace.CreateNet(nets[0])

    def __call__(self, given: Sequence[np.ndarray], positions: int) -> np.ndarray:
        """Scores; `positions`: that the softmax of a fully convolutional head sums over."""
        for blob, array in zip(self._inputs, given):
            self._workspace.FeedBlob(blob, array)
        self._workspace.RunNet(self._net)
        found: np.ndarray = self._workspace.FetchBlob(self._output)
        return found.reshape(len(given[0]), -1) * positions
