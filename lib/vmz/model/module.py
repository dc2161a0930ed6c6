"""VideoModel: a network of the zoo as a module of PyTorch, for one's own loops as well as for `predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from vmz.engines.torch_engine.precision import HALF, computing_in
from vmz.errors import UsageError
from vmz.model.inputs import check_inputs
from vmz.model.nets import Nets
from vmz.model.prediction import Predictor
from vmz.models.audio_visual import LOGMELS
from vmz.models.config import ModelConfig
from vmz.netdef.blob_names import full_name, unscoped
from vmz.settings.model import ModelSettings
from vmz.text import counted

if TYPE_CHECKING:
    from vmz.export.formats import Exported

_REBUILT = ("_nets", "_functions")  # made again of `config` in a copy
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

    def forward(self, clips: Tensor, logmels: Optional[Tensor] = None) -> Tensor:
        """Logits, float (N, classes), of clips, float (N, C, T, H, W), normalised as `clips` and `transform` do it.

        A network of pictures and sound also takes the log-mel maps of the clips, float (N, 1, 100, 40); one of sound
        alone (a_resnet) takes these as its clips. Of a model without a classifier (num_classes=0): its last features,
        (N, channels). The fully convolutional head gives the mean of the logits over its positions. Raises UsageError
        for clips of another shape.
        """
        name = self._nets.trunk if self.features_only else self._nets.logits
        found = self._found(clips, logmels, (name,))[name]
        return found.flatten(2).mean(2) if found.dim() > 2 else found

    def probabilities(self, clips: Tensor, logmels: Optional[Tensor] = None) -> Tensor:
        """Scores of the classes, float (N, classes): rows sum to 1, except of multi-label models, where each is a
        probability of its own. What test_net averages over a video's clips."""
        self._refuse_features("probabilities")
        if self.config.use_convolutional_pred:
            name = unscoped(self._nets.test.prediction)
            return self.blobs(clips, [name], logmels)[name] * self._nets.scale
        logits = self(clips, logmels)
        return torch.sigmoid(logits) if self.config.multi_label else torch.softmax(logits, 1)

    def blobs(self, clips: Tensor, names: Sequence[str], logmels: Optional[Tensor] = None) -> dict[str, Tensor]:
        """Any blobs of the net for these clips, by name, as `vmz print-net` lists them; "blob@3" is of operator 3.

        Raises VmzError for a name that the net does not have.
        """
        return self._found(clips, logmels, tuple(names))

    def _found(self, clips: Tensor, logmels: Optional[Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
        values: dict[str, Any] = {"data": clips} if logmels is None else {"data": clips, LOGMELS: logmels}
        check_inputs(values, self._nets.inputs, getattr(self, self._nets.first).dtype)
        function, inputs = self._function(self.training, names)
        if "label" in inputs:  # the loss is there, if unused
            shape = (len(clips), self.config.num_labels) if self.config.multi_label else (len(clips),)
            values["label"] = torch.zeros(shape, dtype=torch.int32, device=clips.device)
        return self._computed(function, *[values[unscoped(blob)] for blob in inputs])

    def features(self, clips: Tensor, logmels: Optional[Tensor] = None) -> dict[str, Tensor]:
        """What each stage gives: res2 to res5 (N, C, T, H, W) and final_avg; of c3d pool1 to pool5 and fc7.

        Of the networks with sound see `models.stages.stage_blobs`.
        """
        found = self.blobs(clips, list(self._nets.stages.values()), logmels)
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
        names = [blob for name, blob in self._nets.stages.items() if name.startswith(("res", "v_res", "pool"))]
        return names[-1]

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return self._nets.inputs

    def score(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None) -> np.ndarray:
        """Probabilities of a batch of clips, as arrays. The model's mode stays as it is, but counts as eval()."""
        device = next(self.parameters()).device
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                given = [torch.from_numpy(one).to(device) for one in (clips, logmels) if one is not None]
                return self.probabilities(*given).float().cpu().numpy()
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

    def _computed(self, function: Callable[..., Any], *inputs: Tensor) -> dict[str, Tensor]:
        """What the function gives in the model's precision, as float32; in fp32 as the caller has it: autocast, say."""
        found: dict[str, Tensor]
        if self.precision == FP32:
            found = function(self, *inputs)
        elif self.precision in HALF:
            with torch.autocast(device_type=inputs[0].device.type, dtype=HALF[self.precision]):
                found = function(self, *inputs)
            found = {name: value.float() for name, value in found.items()}
        else:
            with computing_in(self.precision):
                found = function(self, *inputs)
        return found

    def _refuse_features(self, what: str) -> None:
        if self.features_only:
            raise UsageError(f"the model has no classifier (num_classes=0), so that it has no {what}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _REBUILT}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare(Nets.of(self.config))
