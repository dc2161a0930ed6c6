"""The nets of a loaded model, and which of their blobs are logits, scores and features."""

from __future__ import annotations

from dataclasses import dataclass

from vmz.models.audio_visual import LOGMELS
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.models.stages import stage_blobs
from vmz.netdef.blob_names import unscoped

PARTS = {"data": "clips", LOGMELS: LOGMELS}  # what a caller knows an input by


def shape_text(blob: str, shape: tuple[int, ...]) -> str:
    """The axes of an input, as errors have them. shape: of one clip."""
    axes = {4: "channels, frames, height, width", 3: "1, rows of log-mels, filters"}
    return f"(N, {', '.join(map(str, shape))}): N, {axes[3 if blob == LOGMELS else len(shape)]}"


@dataclass(frozen=True)
class Nets:
    """The network as NetDefs without a scope: one that tests and, without a fully convolutional head, one that trains.

    logits: the blob in front of the scores. trunk: the blob that the classifier reads. stages: {name: blob}. first: the
    first weights.
    """

    config: ModelConfig
    test: Model
    logits: str
    trunk: str
    stages: dict[str, str]
    first: str

    @classmethod
    def of(cls, config: ModelConfig) -> Nets:
        """Raises UsageError for a configuration that no network has."""
        test = build(config, is_test=True, scope="")
        classifier = next(op for op in test.net.op if op.output[0] == config.last_layer)
        logits = "pred_logit" if config.multi_label and not config.use_convolutional_pred else config.last_layer
        return cls(config, test, logits, str(classifier.input[0]), stage_blobs(test), unscoped(test.params[0][0]))

    def training(self) -> Model:
        """The net that trains. Raises UsageError for the fully convolutional head."""
        return build(self.config, is_test=False, scope="")

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """{blob: shape of one clip} of what the network takes: `data`, and of an av_resnet `logmels`.

        With audio_input_3d there is one channel of maps, as a video has it.
        """
        found = {unscoped(blob): shape[1:] for blob, shape in self.test.input_shapes().items()}
        if self.config.audio_input_3d:
            maps = LOGMELS if self.config.sees_pictures else "data"
            found[maps] = (1, *found[maps][1:])
        return found

    @property
    def scale(self) -> int:
        """What makes the rows of `prediction` sum to 1: a softmax over positions too is averaged over them."""
        config = self.config
        return config.positions**2 if config.use_convolutional_pred and not config.multi_label else 1

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """{blob: shape} of all parameters and running statistics."""
        return {unscoped(blob): shape for blob, shape in [*self.test.params, *self.test.computed_params]}
