from __future__ import annotations

import gzip
import json

import pytest

from tests.golden import GOLDEN, needs_shared
from vmz.netdef.json_form import net_to_json
from vmz.workflows.command import Parser
from vmz.workflows.evaluate import test_model as build_test_model
from vmz.workflows.options import FLAGS, add_flags


@needs_shared
@pytest.mark.parametrize("name", ["r2plus1d18", "irCSN152", "mc3_ml", "ipCSN50_conv3crop"])
def test_the_net_of_test_net_is_the_originals_reader_and_all(name: str) -> None:
    index = json.loads((GOLDEN / "nets" / "index_tools.json").read_text())
    argv = next(e["argv"] for e in index if e["name"] == name and e["num_gpus"] == 0)
    golden = json.loads(gzip.decompress((GOLDEN / "nets" / f"testnet_{name}_gpu0.json.gz").read_bytes()))
    parser = Parser("test")
    add_flags(parser, "all", list(FLAGS))
    model = build_test_model(parser.parse_args(argv))
    assert json.dumps(net_to_json(model.net), sort_keys=True) == json.dumps(golden["net"], sort_keys=True)
    assert json.dumps(net_to_json(model.param_init_net), sort_keys=True) == json.dumps(
        golden["param_init_net"], sort_keys=True
    )
