"""The audio-visual networks: a_resnet on log-mel maps, av_resnet-* on clips and log-mel maps together.

The visual trunk is a network of `families.FAMILIES`, its blobs behind `v_`; the audio trunk is a 2-D residual network
on the blob `logmels` (N, 1, 100, 40), its blobs behind `a_`. Their ends are joined and go through two layers to the
classifier. With g_blend each trunk has a classifier of its own, too, and the loss is a weighted sum of the three
(Gradient-Blending, arXiv:1905.12681). Source: the blob names and arguments of the original builders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vmz.models import resnet
from vmz.models.blocks import MOMENTUM, Style
from vmz.models.config import ModelConfig
from vmz.models.families import AUDIO_VISUAL_BOTTLENECKS
from vmz.models.heads import FeatureMap, Head, Scoring, classify, score, scoring_of
from vmz.netdef.builder import NetBuilder

AUDIO, VISUAL = "a_", "v_"
LOGMELS = "logmels"
CONV1_CHANNELS = 16
FIRST_STAGE = (3, 32)  # blocks, channels: two convolutions each at every depth
FINAL_KERNELS = (4, 2)  # what five halvings leave of 97 to 128 rows and 33 to 64 filters


@dataclass
class _AudioBlock:
    """Names and adds what lies inside audio block `number`, as blocks.Block does for three axes."""

    net: NetBuilder
    number: int
    prefix: str
    convolutions: int = 0

    def conv(self, blob: str, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> str:
        """A convolution and its batch norm."""
        self.convolutions += 1
        place = f"{self.prefix}comp_{self.number}"
        name, pad = f"{place}_conv_{self.convolutions}", kernel // 2
        blob = self.net.conv_2d(blob, name, channels_in, channels_out, kernel, stride=stride, pad=pad)
        return self.net.spatial_bn(blob, f"{place}_spatbn_{self.convolutions}", channels_out)

    def simple(self, blob: str, channels_in: int, channels_out: int, stride: int) -> str:
        """Two 3x3 convolutions and the shortcut."""
        inside = self.net.relu(self.conv(blob, channels_in, channels_out, 3, stride))
        inside = self.conv(inside, channels_out, channels_out, 3)
        return self._add(blob, inside, channels_in, channels_out, stride, bottleneck=False)

    def bottleneck(self, blob: str, channels_in: int, width: int, channels_out: int, stride: int) -> str:
        """1x1 down to `width`, 3x3 there, 1x1 up, and the shortcut."""
        inside = self.net.relu(self.conv(blob, channels_in, width, 1))
        inside = self.net.relu(self.conv(inside, width, width, 3, stride))
        inside = self.conv(inside, width, channels_out, 1)
        return self._add(blob, inside, channels_in, channels_out, stride, bottleneck=True)

    def _add(self, blob: str, inside: str, channels_in: int, channels_out: int, stride: int, bottleneck: bool) -> str:
        if channels_in != channels_out or stride != 1:
            name = f"{self.prefix}shortcut_projection_{self.number}"
            blob = self.net.conv_2d(blob, name, channels_in, channels_out, 1, stride=stride)
            momentum = MOMENTUM if bottleneck else None
            blob = self.net.spatial_bn(blob, f"{name}_spatbn", channels_out, momentum=momentum)
        total = self.net.sum([blob, inside], f"{self.prefix}comp_{self.number}_sum_{self.convolutions}")
        return self.net.relu(total)


def add_audio_visual(
    net: NetBuilder, config: ModelConfig, blob: str = "data", frozen: bool = False, logmels: str = LOGMELS
) -> Head:
    """All layers of an av_resnet, from the clip `blob` (N, C, T, H, W) and the maps `logmels` to scores and loss.

    frozen: gradients end where the classifiers begin.
    """
    joint, audio, visual = _trunks(net, config, blob, logmels)
    if not config.g_blend:
        return score(net, _classified(net, config, joint, "", frozen), scoring_of(config))
    heads = ((joint, ""), (audio, AUDIO), (visual, VISUAL))
    return _blended(net, config, [_classified(net, config, features, prefix, frozen) for features, prefix in heads])


def add_audio(net: NetBuilder, config: ModelConfig, blob: str = "data", frozen: bool = False) -> Head:
    """All layers of a_resnet, from the log-mel maps `blob` to scores and loss."""
    if config.audio_input_3d:
        blob = _mean_over_channels(net, blob, f"{blob}_NHWC", LOGMELS)
    *_, last = _audio_blocks(net, config, blob, "")
    features = _final_pool(net, last, "")
    return score(net, _classified(net, config, features, "", frozen), scoring_of(config))


def _trunks(net: NetBuilder, config: ModelConfig, blob: str, logmels: str) -> tuple[FeatureMap, FeatureMap, FeatureMap]:
    """What the joint, the audio and the visual classifier see."""
    layout = replace(resnet.layout_of(config), style=Style(prefix=VISUAL))
    visual_blocks = resnet.build_blocks(net, layout, blob, config.num_channels)
    next(visual_blocks)  # the stem
    if config.audio_input_3d:
        logmels = _mean_over_channels(net, logmels, f"{LOGMELS}_NHWC", f"{LOGMELS}_NHWC_c_pool")
    audio_blocks = _audio_blocks(net, config, logmels, AUDIO)
    for _ in range(FIRST_STAGE[0] + 1):  # conv1 too
        next(audio_blocks)
    *_, (last_visual, last_audio) = zip(visual_blocks, audio_blocks)  # in turns, as in the original
    visual = resnet.final_average(net, layout, last_visual)
    return _joined(net, config, visual, _final_pool(net, last_audio, AUDIO))


def _joined(
    net: NetBuilder, config: ModelConfig, visual: FeatureMap, audio: FeatureMap
) -> tuple[FeatureMap, FeatureMap, FeatureMap]:
    if config.use_convolutional_pred:
        tiled, positions = net.op("ExpandDims", [audio.blob], [f"{AUDIO}final_avg_3D"], dims=[4]), config.positions
        for number, axis in enumerate((3, 4), 1):
            tiled = net.op("Tile", [tiled], [f"{AUDIO}final_avg_3D_tiled_{number}"], axis=axis, tiles=positions)
        blobs = [visual.blob, tiled]
    else:
        squeezed = net.op("Squeeze", [visual.blob], [f"{VISUAL}final_avg_squeezed"], dims=[4])
        visual = replace(visual, blob=squeezed)
        blobs = [squeezed, audio.blob]
    blob, channels = net.concat(blobs, "av_concat"), visual.channels + audio.channels
    for name in ("av_fc1", "av_fc2"):
        blob = net.relu(_layer(net, config, blob, name, channels, visual.channels))
        channels = visual.channels
    return FeatureMap(blob, channels), audio, visual


def _layer(net: NetBuilder, config: ModelConfig, blob: str, name: str, channels_in: int, channels_out: int) -> str:
    """A fully connected layer; a 1x1x1 convolution in the fully convolutional network."""
    if config.use_convolutional_pred:
        return net.conv(blob, name, channels_in, channels_out, (1, 1, 1), bias=True)
    return net.fc(blob, name, channels_in, channels_out)


def _audio_blocks(net: NetBuilder, config: ModelConfig, blob: str, prefix: str) -> Iterator[FeatureMap]:
    """The audio trunk, one layer at a time: conv1, then each block. The first of a stage halves rows and filters."""
    channels = CONV1_CHANNELS
    blob = net.conv_2d(blob, f"{prefix}conv1", 1, channels, 3, pad=1, bias=True, fill="XavierFill")
    yield FeatureMap(blob, channels)
    number = 0
    for blocks, out, width in _audio_stages(config):
        for first in [True] + [False] * (blocks - 1):
            block, stride = _AudioBlock(net, number, prefix), 2 if first else 1
            if width:
                blob = block.bottleneck(blob, channels, width, out, stride)
            else:
                blob = block.simple(blob, channels, out, stride)
            channels, number = out, number + 1
            yield FeatureMap(blob, channels)


def _audio_stages(config: ModelConfig) -> Sequence[tuple[int, int, int]]:
    """(blocks, channels, width inside bottlenecks or 0) of each of the five."""
    stages = resnet.config_stages(config, AUDIO_VISUAL_BOTTLENECKS, lambda stage: True)
    bottleneck = config.model_depth in AUDIO_VISUAL_BOTTLENECKS
    return [(*FIRST_STAGE, 0), *((one.blocks, one.channels, one.width if bottleneck else 0) for one in stages)]


def stage_blocks(config: ModelConfig) -> dict[int, int]:
    """{number of a stage of the audio trunk: its blocks}, from 1."""
    return {number: blocks for number, (blocks, _, _) in enumerate(_audio_stages(config), 1)}


def _final_pool(net: NetBuilder, last: FeatureMap, prefix: str) -> FeatureMap:
    """The audio trunk's `final_avg`, which is a maximum despite its name."""
    return FeatureMap(net.max_pool_2d(last.blob, f"{prefix}final_avg", FINAL_KERNELS), last.channels)


def _mean_over_channels(net: NetBuilder, blob: str, moved: str, name: str) -> str:
    """Maps (N, C, 1, rows, filters) to their mean over C (N, 1, rows, filters)."""
    return net.op("ReduceBackMean", [net.op("NCHW2NHWC", [blob], [moved])], [name], num_reduce_dim=1)


def _classified(net: NetBuilder, config: ModelConfig, features: FeatureMap, prefix: str, frozen: bool) -> str:
    """The logits of one of the heads."""
    convolutional = config.use_convolutional_pred
    return classify(net, features, f"{prefix}{config.last_layer}", config.num_labels, convolutional, frozen=frozen)


def _blended(net: NetBuilder, config: ModelConfig, logits: Sequence[str]) -> Head:
    """The three losses, each scaled, and their weighted sum `loss`. Scores are the joint head's."""
    plain = scoring_of(config)
    joint = score(net, logits[0], replace(plain, prefix="av_"))
    prefixes = (AUDIO, VISUAL)
    own = [_unscaled_loss(net, plain, blob, prefix) for blob, prefix in zip(logits[1:], prefixes)]
    losses = [
        net.op("Scale", [loss], [f"{prefix}loss"], scale=config.loss_scale) for loss, prefix in zip(own, prefixes)
    ]
    weights = (config.audio_weight, config.visual_weight, config.av_weight)
    weighed = [
        net.op("Scale", [loss], [loss + "_w"], scale=float(weight))
        for loss, weight in zip([*losses, joint.loss or ""], weights)
    ]
    return Head(joint.prediction, net.sum(weighed, "loss"))


def _unscaled_loss(net: NetBuilder, scoring: Scoring, logits: str, prefix: str) -> str:
    """The loss of one trunk's own head, and its scores."""
    loss = f"{prefix}unscaled_loss"
    if not scoring.multi_label:
        net.op("SoftmaxWithLoss", [logits, "label"], [f"{prefix}softmax", loss])
        return net.scoped(loss)
    logits = net.elementwise_linear(logits, f"{prefix}pred_logit", scoring.num_labels)
    net.op("Sigmoid", [logits], [f"{prefix}prob"])
    return net.op("SigmoidCrossEntropyWithLogits", [logits, "label_float"], [loss])
