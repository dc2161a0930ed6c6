from __future__ import annotations

from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.json_form import net_from_json, net_to_json


def test_round_trip() -> None:
    model = build(ModelConfig(model_name="ip-csn", model_depth=10, clip_length=8), is_test=False)
    for net in (model.net, model.param_init_net):
        again = net_from_json(net_to_json(net))
        assert net_to_json(again) == net_to_json(net)
        assert len(again.op) == len(net.op) > 50
