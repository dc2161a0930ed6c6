"""Every net of the video family, through models.model_builder on a CNNModelHelper, against the original's."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.engines.golden_nets import golden_entries
from tests.engines.real_caffe2 import needs_caffe2
from tests.golden import golden_path
from tests.legacy.original import cnn_model, device, parameters
from vmz.models.registry import MODEL_NAMES
from vmz.netdef.json_form import net_to_json

pytestmark = needs_caffe2

ENTRIES = [entry for entry in golden_entries() if entry["config"]["build_args"]["model_name"] in MODEL_NAMES]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"].partition(".")[0])
def test_the_nets_of_the_original(entry: dict[str, Any]) -> None:
    from models import model_builder

    with gzip.open(golden_path(f"nets/{entry['file']}")) as stream:
        golden = json.load(stream)
    config = entry["config"]
    model = cnn_model(config["net_name"])
    with device():
        loss = model_builder.build_model(model, **config["build_args"], is_test=config["is_test"])
    assert net_to_json(model.net.Proto()) == golden["net"]
    assert net_to_json(model.param_init_net.Proto()) == golden["param_init_net"]
    assert [blob if blob is None else str(blob) for blob in loss] == golden["loss"]
    found = parameters(model)
    assert found == {name: golden[name] for name in found}
