"""VideoModel: a network of the zoo as a module of PyTorch, for one's own loops as well as for `predict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import numpy as np
import torch
from torch import Tensor, nn

from vmz.engines.precisions import FP32
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.engines.torch_engine.graph.functions import function_of
from vmz.engines.torch_engine.graph.half import classify_in_float32
from vmz.engines.torch_engine.graph.importer import import_net
from vmz.engines.torch_engine.precision import HALF, autocast_context, computing_in
from vmz.errors import UsageError
from vmz.model.nets import Nets
from vmz.model.prediction import Predictor
from vmz.models.config import ModelConfig
from vmz.netdef.blob_names import full_name, unscoped
from vmz.settings.model import ModelSettings
from vmz.text import counted

if TYPE_CHECKING:
    from vmz.export.formats import Exported

_REBUILT = ("_nets", "_functions")  # made again of `config` in a copy
_AUTOCAST_BY_DEVICE = hasattr(getattr(torch, "amp", None), "is_autocast_available")  # PyTorch 2.4
Function = tuple[Callable[..., Any], list[str]]


class VideoModel(nn.Module, Predictor):
    """A network of `config`: clips in, logits out. The keys of its state_dict are the blob names of the NetDef.

    config: ModelConfig. settings: how clips are drawn from a video, for `clips` and `predict`. labels: the names of
    the classes, or None. source: where the weights come from, for people.

    `train()` and `eval()` mean what they mean in PyTorch: batch norm normalises by the batch and updates its running
    statistics, dropout drops; or neither. A model with the fully convolutional head does not train. It works under
    torch.compile, DistributedDataParallel and autocast, and can be copied and pickled. Of settings with another
    precision than fp32 it computes in that one, in both modes; its parameters and what it returns stay float32.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: Optional[Mapping[str, np.ndarray]] = None,
        *,
        settings: Optional[ModelSettings] = None,
        labels: Optional[Sequence[str]] = None,
        source: str = "",
        features_only: bool = False,
        seed: int = 0,
    ) -> None:
        """weights: {blob, scoped or not: float32 array}, over fills drawn with `seed`. features_only: no classifier.

        Raises UsageError for a configuration that no network has and VmzError for weights of another one.
        """
        super().__init__()
        self.config = replace(config, batch_size=-1)
        self.settings = settings
        self.labels = None if labels is None else tuple(labels)
        self.source = source
        self.features_only = features_only
        nets = Nets.of(self.config)
        values = run_fills(nets.test.param_init_net, seed)
        for name, array in (weights or {}).items():
            blob = full_name(unscoped(name), values)
            if tuple(values[blob].shape) != np.shape(array):
                raise UsageError(
                    f"blob {blob} has shape {tuple(values[blob].shape)} in the network, not {np.shape(array)}"
                )
            values[blob] = torch.from_numpy(np.array(array, np.float32))
        statistics = {blob for blob, _ in nets.test.computed_params}
        unused = nets.test.classifier if features_only else set()
        for blob, value in values.items():
            if blob in unused:
                continue
            if blob in statistics or not value.is_floating_point():
                self.register_buffer(blob, value)
            else:
                self.register_parameter(blob, nn.Parameter(value))
        self._prepare(nets)
        self.eval()

    def _prepare(self, nets: Nets) -> None:
        self._nets = nets
        self._functions: dict[tuple[bool, tuple[str, ...]], Function] = {}
        for training in (False, True):
            if not (training and self.config.use_convolutional_pred):
                self._function(training, (nets.trunk if self.features_only else nets.logits,))

    def _function(self, training: bool, outputs: tuple[str, ...]) -> Function:
        """The net as a function of this module. Raises VmzError for an unknown blob, with names that there are."""
        key = training, outputs
        if key not in self._functions:
            net = self._nets.training() if training else self._nets.test
            values = {**dict(self.named_parameters()), **dict(self.named_buffers())}
            absent = net.classifier if self.features_only else set()
            values.update({blob: torch.empty(0) for blob in absent})
            graph = import_net(net.net, outputs=outputs, values=values)
            if self.precision in HALF:
                classify_in_float32(graph.graph)
            self._functions[key] = function_of(graph, self)
        return self._functions[key]

    def forward(self, clips: Tensor) -> Tensor:
        """Logits, float (N, classes), of clips, float (N, C, T, H, W), normalised as `clips` and `transform` do it.

        Of a model without a classifier (num_classes=0): its last features, (N, channels). The fully convolutional head
        gives the mean of the logits over its positions. Raises UsageError for clips of another shape.
        """
        self._check(clips)
        name = self._nets.trunk if self.features_only else self._nets.logits
        with self._computing(clips):
            found = self._functions[self.training, (name,)][0](self, clips)[name]
        found = self._wide(found)
        return found.flatten(2).mean(2) if found.dim() > 2 else found

    def probabilities(self, clips: Tensor) -> Tensor:
        """Scores of the classes, float (N, classes): rows sum to 1, except of multi-label models, where each is a
        probability of its own. What test_net averages over a video's clips."""
        self._refuse_features("probabilities")
        if self.config.use_convolutional_pred:
            name = unscoped(self._nets.test.prediction)
            return self.blobs(clips, [name])[name] * self._nets.scale
        logits = self(clips)
        return torch.sigmoid(logits) if self.config.multi_label else torch.softmax(logits, 1)

    def blobs(self, clips: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Any blobs of the net for these clips, by name, as `vmz print-net` lists them; "blob@3" is of operator 3.

        Raises VmzError for a name that the net does not have.
        """
        self._check(clips)
        function, inputs = self._function(self.training, tuple(names))
        values: dict[str, Any] = {"data": clips}
        if "label" in inputs:  # the loss is there, if unused
            shape = (len(clips), self.config.num_labels) if self.config.multi_label else (len(clips),)
            values["label"] = torch.zeros(shape, dtype=torch.int32, device=clips.device)
        with self._computing(clips):
            found: dict[str, Tensor] = function(self, *[values[unscoped(blob)] for blob in inputs])
        return {name: self._wide(value) for name, value in found.items()}

    def features(self, clips: Tensor) -> dict[str, Tensor]:
        """What each stage gives: res2 to res5 (N, C, T, H, W) and final_avg; of c3d pool1 to pool5 and fc7."""
        found = self.blobs(clips, list(self._nets.stages.values()))
        return {name: found[blob] for name, blob in self._nets.stages.items()}

    def train(self, mode: bool = True) -> VideoModel:
        """Training mode. Raises UsageError for the fully convolutional head, which is for testing only."""
        if mode and self.config.use_convolutional_pred:
            raise UsageError(
                "the fully convolutional head is for testing only; load the model with head='plain' to train it"
            )
        super().train(mode)
        return self

    @property
    def logits_blob(self) -> str:
        """The blob in front of the scores."""
        self._refuse_features("logits")
        return self._nets.logits

    @property
    def last_convolution(self) -> str:
        """The blob that the last stage of convolutions gives, (N, C, T, H, W)."""
        names = [blob for name, blob in self._nets.stages.items() if name.startswith(("res", "pool"))]
        return names[-1]

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """C, T, H, W of a clip."""
        return self._nets.test.clip_shape

    def score(self, clips: np.ndarray) -> np.ndarray:
        """Probabilities of a batch of clips, as arrays. The model's mode stays as it is, but counts as eval()."""
        device = next(self.parameters()).device
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return self.probabilities(torch.from_numpy(clips).to(device)).float().cpu().numpy()
        finally:
            self.train(was_training)

    def export(self, path: Union[str, Path], verify: bool = True) -> Exported:
        """Write the model for other programs: .onnx, .pt2, .pb, .pbtxt or .mdl (see vmz.export.formats.export)."""
        from vmz.export.formats import export

        return export(self, path, verify)

    def weights(self) -> dict[str, np.ndarray]:
        """{blob: float32 array} of all parameters and running statistics."""
        return {name: value.detach().float().cpu().numpy() for name, value in self.state_dict().items()}

    def extra_repr(self) -> str:
        config = self.config
        classes = "no classifier" if self.features_only else counted(config.num_labels, "class")
        shape = "x".join(map(str, self.clip_shape))
        return f"{config.model_name}-{config.model_depth}, clips of {shape}, {classes}, from {self.source or 'fills'}"

    @property
    def precision(self) -> str:
        """The number format of the forward pass: that of the settings."""
        return FP32 if self.settings is None else self.settings.precision

    @contextmanager
    def _computing(self, clips: Tensor) -> Iterator[None]:
        """In the model's precision; in fp32 as the caller has it: autocast, say."""
        if self.precision == FP32:
            yield
        elif self.precision in HALF:
            with autocast_context(self.precision, clips.device):
                yield
        else:
            with computing_in(self.precision):
                yield

    def _wide(self, value: Tensor) -> Tensor:
        return value.float() if self.precision in HALF and value.is_floating_point() else value

    def _check(self, clips: Union[Tensor, Any]) -> None:
        axes = f"(N, {', '.join(map(str, self.clip_shape))}): N, channels, frames, height, width"
        if not isinstance(clips, Tensor):
            kind = (
                "a NumPy array; torch.from_numpy makes a tensor of it" if isinstance(clips, np.ndarray) else "no tensor"
            )
            raise UsageError(f"the clips are {kind}; this model takes a tensor {axes}")
        if clips.dim() != 5 or tuple(clips.shape[1:]) != self.clip_shape or clips.shape[0] == 0:
            raise UsageError(f"the clips are {tuple(clips.shape)}, but this model takes a tensor {axes}")
        if not clips.is_floating_point():
            raise UsageError(
                f"the clips are {clips.dtype}, but this model takes normalised floating point; use model.transform"
            )
        dtype = getattr(self, self._nets.first).dtype
        if clips.dtype != dtype and not _is_autocast(clips.device.type):
            raise UsageError(f"the clips are {clips.dtype}, but the model's weights are {dtype}; use clips.to({dtype})")

    def _refuse_features(self, what: str) -> None:
        if self.features_only:
            raise UsageError(f"the model has no classifier (num_classes=0), so that it has no {what}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _REBUILT}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare(Nets.of(self.config))


def _is_autocast(device: str) -> bool:
    if _AUTOCAST_BY_DEVICE:
        return torch.is_autocast_enabled(device)
    return torch.is_autocast_cpu_enabled() if device == "cpu" else torch.is_autocast_enabled()
