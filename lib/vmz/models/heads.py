"""Classifiers and losses on top of a trunk: single or multi label, one vector a clip or fully convolutional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from vmz.models.config import ModelConfig
from vmz.netdef.builder import NetBuilder
from vmz.netdef.protos import DATA_TYPES


@dataclass(frozen=True)
class FeatureMap:
    """What a trunk hands to the head: a blob and its channels."""

    blob: str
    channels: int


@dataclass(frozen=True)
class Head:
    """The blob of scores (`softmax` or `prob`, one row a clip) and the scaled loss, None where there is none."""

    prediction: str
    loss: Optional[str]


def build_head(net: NetBuilder, config: ModelConfig, features: FeatureMap) -> Head:
    """Dropout when asked for, the classifier, scores, loss and accuracy. Labels come from the blob `label`."""
    blob = net.dropout(features.blob, "dropout") if config.use_dropout else features.blob
    if config.use_convolutional_pred:
        logits = net.conv(blob, config.last_layer, features.channels, config.num_labels, (1, 1, 1), bias=True)
        predict = _multi_label_map if config.multi_label else _single_label_map
        return Head(predict(net, config, logits), None)
    logits = net.fc(blob, config.last_layer, features.channels, config.num_labels)
    return (_multi_label if config.multi_label else _single_label)(net, config, logits)


def _single_label(net: NetBuilder, config: ModelConfig, logits: str) -> Head:
    softmax = net.op("SoftmaxWithLoss", [logits, "label"], ["softmax", "loss"])
    net.op("Accuracy", [softmax, "label"], ["accuracy"])
    return Head(softmax, _scaled_loss(net, config))


def _multi_label(net: NetBuilder, config: ModelConfig, logits: str) -> Head:
    logits = net.elementwise_linear(logits, "pred_logit", config.num_labels)
    prob = net.op("Sigmoid", [logits], ["prob"])
    label = net.op("Cast", ["label"], ["label_float"], to=DATA_TYPES["FLOAT"])
    net.op("SigmoidCrossEntropyWithLogits", [logits, label], ["loss"])
    return Head(prob, _scaled_loss(net, config))


def _scaled_loss(net: NetBuilder, config: ModelConfig) -> str:
    return net.op("Scale", ["loss"], [net.automatic_name("Scale")], scale=config.loss_scale)


def _single_label_map(net: NetBuilder, config: ModelConfig, logits: str) -> str:
    """Softmax jointly over channels and positions (so a row sums to 1 / positions), then the mean over positions."""
    blob = net.softmax(logits, "softmax_unreduced")
    softmax = net.op("ReduceBackMean", [blob], ["softmax"], num_reduce_dim=3)
    net.op("Accuracy", [softmax, "label"], ["accuracy"])
    return softmax


def _multi_label_map(net: NetBuilder, config: ModelConfig, logits: str) -> str:
    """Sigmoid at each position, then the mean over positions; labels go last for ElementwiseLinear, and back."""
    side = config.positions
    blob = net.op("Transpose", [logits], ["pred_logit_transpose"], axes=[0, 2, 3, 4, 1])
    blob = net.op("Reshape", [blob], ["pred_logit_reshape", "pred_logit_shape"], shape=[-1, config.num_labels])
    blob = net.op("Sigmoid", [net.elementwise_linear(blob, "pred_logit", config.num_labels)], ["prob_unreduced"])
    shape = [config.batch_size, 1, side, side, config.num_labels]
    blob = net.op("Reshape", [blob], ["prob_unreduced_reshape", "prob_unreduced_shape"], shape=shape)
    blob = net.op("Transpose", [blob], [net.automatic_name("Transpose")], axes=[0, 4, 1, 2, 3])
    return net.op("ReduceBackMean", [blob], ["prob"], num_reduce_dim=3)
