"""C3D on the caller's model."""

from __future__ import annotations

from typing import Any

from vmz.engines.caffe2_engine.helper_net import HelperNet
from vmz.models import c3d
from vmz.models.heads import classify


def create_model(
    model: Any,
    data: Any,
    num_input_channels: int,
    num_labels: int,
    label: Any = None,
    is_test: Any = 0,
    no_bias: Any = 0,
    fc6_dim: int = c3d.FC_WIDTH,
    fc7_dim: int = c3d.FC_WIDTH,
) -> Any:
    """All layers from the clip `data` (N, C, 16, 112, 112) to the logits `last_out_L<num_labels>`, which it returns.

    `label` is not used, as in the original: models.loss.loss_creator adds the loss.
    """
    net = HelperNet(model, is_test)
    features = c3d.build_layers(net, data, int(num_input_channels), not no_bias, (int(fc6_dim), int(fc7_dim)))
    return classify(net, features, f"last_out_L{num_labels}", int(num_labels))
