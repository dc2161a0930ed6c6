"""Classifiers and losses on top of a trunk: single or multi label, one vector a clip or fully convolutional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from vmz.errors import UsageError
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


@dataclass(frozen=True)
class Scoring:
    """How scores and loss are made of logits, for labels in the blob `label`.

    convolutional: the logits are maps of `positions` x `positions`; then there is no loss, and `batch_size` clips a run
    (-1 for any) where it is multi-label. softmax_loss: multi-label by cross entropy of a softmax, of no published
    network. prefix: of the names of losses.
    """

    num_labels: int
    multi_label: bool = False
    convolutional: bool = False
    loss_scale: float = 1.0
    batch_size: int = 1
    positions: int = 1
    softmax_loss: bool = False
    prefix: str = ""


def build_head(net: NetBuilder, config: ModelConfig, features: FeatureMap, frozen: bool = False) -> Head:
    """Dropout when asked for, the classifier, scores, loss and accuracy. `frozen`: gradients end at the classifier."""
    return score(net, build_logits(net, config, features, frozen), scoring_of(config))


def scoring_of(config: ModelConfig) -> Scoring:
    """How a configuration scores."""
    convolutional = config.use_convolutional_pred
    return Scoring(
        num_labels=config.num_labels,
        multi_label=config.multi_label,
        convolutional=convolutional,
        loss_scale=config.loss_scale,
        batch_size=config.batch_size,
        positions=config.positions if convolutional else 1,
    )


def build_logits(net: NetBuilder, config: ModelConfig, features: FeatureMap, frozen: bool = False) -> str:
    """The first part of the head, without scores and loss."""
    last, convolutional = config.last_layer, config.use_convolutional_pred
    return classify(net, features, last, config.num_labels, convolutional, config.use_dropout, frozen)


def check_head(net: NetBuilder, convolutional: bool) -> None:
    """Raise UsageError for the fully convolutional head in a net that trains."""
    if convolutional and not net.is_test:
        raise UsageError(
            "use_convolutional_pred is for testing only; train with the plain head, its weights convert on loading"
        )


def classify(
    net: NetBuilder,
    features: FeatureMap,
    name: str,
    num_labels: int,
    convolutional: bool = False,
    dropout: bool = False,
    frozen: bool = False,
) -> str:
    """The classifier `name` on top of the features, behind dropout when asked for. Returns its logits."""
    blob = net.dropout(features.blob, "dropout") if dropout else features.blob
    if frozen:
        blob = net.op("StopGradient", [blob], [blob])
    if convolutional:
        return net.conv(blob, name, features.channels, num_labels, (1, 1, 1), bias=True)
    return net.fc(blob, name, features.channels, num_labels)


def score(net: NetBuilder, logits: str, scoring: Scoring) -> Head:
    """Scores and, for single labels, accuracy; the loss too, but for the fully convolutional head."""
    if scoring.convolutional:
        predict = _multi_label_map if scoring.multi_label else _single_label_map
        return Head(predict(net, scoring, logits), None)
    if not scoring.multi_label:
        return _single_label(net, scoring, logits)
    return (_softmax_of_several if scoring.softmax_loss else _multi_label)(net, scoring, logits)


def _single_label(net: NetBuilder, scoring: Scoring, logits: str) -> Head:
    loss = f"{scoring.prefix}loss"
    softmax = net.op("SoftmaxWithLoss", [logits, "label"], ["softmax", loss])
    net.op("Accuracy", [softmax, "label"], ["accuracy"])
    return Head(softmax, _scaled(net, scoring, loss))


def _multi_label(net: NetBuilder, scoring: Scoring, logits: str) -> Head:
    logits = net.elementwise_linear(logits, "pred_logit", scoring.num_labels)
    prob = net.op("Sigmoid", [logits], ["prob"])
    loss = net.op("SigmoidCrossEntropyWithLogits", [logits, _float_label(net)], [f"{scoring.prefix}loss"])
    return Head(prob, _scaled(net, scoring, loss))


def _softmax_of_several(net: NetBuilder, scoring: Scoring, logits: str) -> Head:
    prob = net.softmax(logits, "prob")
    entropy = net.op("CrossEntropy", [prob, _float_label(net)], [f"{scoring.prefix}entropy_loss"])
    loss = net.op("AveragedLoss", [entropy], [f"{scoring.prefix}unscaled_loss"])
    return Head(prob, net.op("Scale", [loss], [f"{scoring.prefix}loss"], scale=scoring.loss_scale))


def _float_label(net: NetBuilder) -> str:
    return net.op("Cast", ["label"], ["label_float"], to=DATA_TYPES["FLOAT"])


def _scaled(net: NetBuilder, scoring: Scoring, loss: str) -> str:
    return net.op("Scale", [loss], [net.automatic_name("Scale")], scale=scoring.loss_scale)


def _single_label_map(net: NetBuilder, scoring: Scoring, logits: str) -> str:
    """Softmax jointly over channels and positions (so a row sums to 1 / positions), then the mean over positions."""
    blob = net.softmax(logits, "softmax_unreduced")
    softmax = net.op("ReduceBackMean", [blob], ["softmax"], num_reduce_dim=3)
    net.op("Accuracy", [softmax, "label"], ["accuracy"])
    return softmax


def _multi_label_map(net: NetBuilder, scoring: Scoring, logits: str) -> str:
    """Sigmoid at each position, then the mean over positions; labels go last for ElementwiseLinear, and back."""
    side, labels = scoring.positions, scoring.num_labels
    blob = net.op("Transpose", [logits], ["pred_logit_transpose"], axes=[0, 2, 3, 4, 1])
    blob = net.op("Reshape", [blob], ["pred_logit_reshape", "pred_logit_shape"], shape=[-1, labels])
    blob = net.op("Sigmoid", [net.elementwise_linear(blob, "pred_logit", labels)], ["prob_unreduced"])
    shape = [scoring.batch_size, 1, side, side, labels]
    blob = net.op("Reshape", [blob], ["prob_unreduced_reshape", "prob_unreduced_shape"], shape=shape)
    blob = net.op("Transpose", [blob], [net.automatic_name("Transpose")], axes=[0, 4, 1, 2, 3])
    return net.op("ReduceBackMean", [blob], ["prob"], num_reduce_dim=3)
