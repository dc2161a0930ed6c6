"""From a configuration to a network: the one entrance to this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from vmz.models import audio_visual, c3d, resnet
from vmz.models.config import ModelConfig
from vmz.models.families import C3D, FAMILIES, SOUND_NAMES
from vmz.models.heads import Head, build_head, check_head
from vmz.netdef.analysis import OpCost, analyse
from vmz.netdef.blob_names import SCOPE, scoped
from vmz.netdef.builder import NetBuilder, device_option
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.netdef.net_parts import classifier_parameters

MODEL_NAMES = tuple(sorted([*FAMILIES, C3D]))
ALL_NAMES = (*MODEL_NAMES, *sorted(SOUND_NAMES))  # the audio-visual ones too
TEST_NET_NAME = "video_model_test"
LOGMEL_SHAPE = (100, 40)  # rows (time) and filters, of which the audio trunk makes one position


@dataclass(frozen=True)
class Model:
    """A network: two NetDefs and what is known of their blobs, by full name.

    `params` and `computed_params`: (blob, shape). `weights`, `biases`: which parameters weight decay touches, and not.
    `prediction`: the blob of scores, N rows. `loss`: the scaled loss, None for the fully convolutional head.
    """

    config: ModelConfig
    net: Any
    param_init_net: Any
    params: list[tuple[str, tuple[int, ...]]]
    computed_params: list[tuple[str, tuple[int, ...]]]
    weights: list[str]
    biases: list[str]
    prediction: str
    loss: Optional[str]
    scope: str

    @property
    def all_params(self) -> list[str]:
        return [blob for blob, _ in [*self.params, *self.computed_params]]

    @property
    def classifier(self) -> set[str]:
        """The parameters on top of the trunk, which fine-tuning makes anew for other labels."""
        return classifier_parameters(self.net, self.prediction, self.all_params)

    def blob(self, name: str) -> str:
        """The full name of a blob given by its short one."""
        return scoped(name, self.scope)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """C, T, H, W of one clip of the blob `data` where the network sees pictures; see `input_shapes`."""
        config = self.config
        return config.num_channels, config.clip_length, config.crop_size, config.crop_size

    def input_shapes(self, clips: int = 1) -> dict[str, tuple[int, ...]]:
        """{blob: shape} of `clips` clips: `data`, and `logmels` of an av_resnet. The maps are a_resnet's `data`."""
        config = self.config
        maps: tuple[int, ...] = (clips, 3, 1, *LOGMEL_SHAPE) if config.audio_input_3d else (clips, 1, *LOGMEL_SHAPE)
        if not config.sees_pictures:
            return {self.blob("data"): maps}
        pictures: dict[str, tuple[int, ...]] = {self.blob("data"): (clips, *self.clip_shape)}
        return {**pictures, self.blob(audio_visual.LOGMELS): maps} if config.hears else pictures

    def inputs_of(self, read: Sequence[Optional[np.ndarray]]) -> dict[str, np.ndarray]:
        """{blob: array} of what a reader gave for clips: pictures, flow, log-mels, None for what was not asked for.

        With audio_input_3d the one map of a clip is the only channel of several.
        """
        found = {}
        for (blob, shape), array in zip(self.input_shapes().items(), (one for one in read if one is not None)):
            is_3d = array.ndim < len(shape)
            found[blob] = array[:, None] if is_3d else array
        return found

    def costs(self) -> list[OpCost]:
        """Shape and cost of every op, for one clip a run (or `config.batch_size` clips where the net fixes it).

        Raises ShapeError, naming the op, when the layers do not fit the clip (a clip of 6 frames, for one, leaves 2
        where final_avg takes 1: the original builds such a net, and cannot run it).
        """
        config = self.config
        clips = config.batch_size if config.use_convolutional_pred and config.batch_size > 0 else 1
        label = (clips, config.num_labels) if config.multi_label else (clips,)
        inputs = {**self.input_shapes(clips), self.blob("label"): label}
        return analyse(self.net, self.param_init_net, inputs)


def build(
    config: ModelConfig,
    is_test: bool = True,
    net_name: str = TEST_NET_NAME,
    scope: str = SCOPE,
    source: Optional[VideoSource] = None,
    use_cudnn: bool = True,
    device: Any = None,
    workspace_limit: Optional[int] = None,
) -> Model:
    """The network of `config`, as the original builders emit it, inside name scope `scope` (may be "").

    Without `source` the net reads the blobs `data` (N, C, T, H, W float32) and `label` (N int32, or N x num_labels when
    multi-label); with it, CreateDB and VideoInput come first. `device`: a DeviceOption, the CPU by default.
    `workspace_limit`: bytes that cuDNN may take for scratch, written into the ops of training nets.

    Raises UsageError where the configuration asks for what only testing has.
    """
    net = NetBuilder(
        net_name,
        is_test=is_test,
        scope=scope,
        device=device or device_option(),
        use_cudnn=use_cudnn,
        workspace_limit=workspace_limit,
    )
    if source is not None:
        add_video_input(net, source)
    head = add_network(net, config)
    return Model(
        config=config,
        net=net.net,
        param_init_net=net.init_net,
        params=net.params,
        computed_params=net.computed_params,
        weights=net.weights,
        biases=net.biases,
        prediction=head.prediction,
        loss=head.loss,
        scope=scope,
    )


def add_network(net: NetBuilder, config: ModelConfig, blob: str = "data", frozen: bool = False) -> Head:
    """All layers of `config` from the clip `blob`. `frozen`: gradients end where the classifier begins.

    Raises UsageError where the configuration asks for what only testing has.
    """
    check_head(net, config.use_convolutional_pred)
    if config.hears:
        build = audio_visual.add_audio_visual if config.sees_pictures else audio_visual.add_audio
        return build(net, config, blob, frozen)
    trunk = c3d.build_trunk if config.model_name == C3D else resnet.build_trunk
    return build_head(net, config, trunk(net, config, blob), frozen)
