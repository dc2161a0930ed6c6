"""The first iteration of the golden training runs, forward: loss, scores, and the running statistics it leaves."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch

from tests.generated_weights import generated_weights, weights_sha256
from tests.golden import GOLDEN, needs_shared
from vmz.engines.torch_engine.engine import TorchEngine
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.builder import make_argument


@needs_shared
@pytest.mark.parametrize("job", sorted(path.stem for path in (GOLDEN / "train").glob("*.json")))
def test_first_iteration(job: str) -> None:
    golden = json.loads((GOLDEN / "train" / f"{job}.json").read_text())
    arguments = golden["build_args"]
    batch = arguments.pop("batch_size")
    config = ModelConfig(**{**arguments, "multi_label": bool(arguments["multi_label"])})
    model = build(config, is_test=False)
    if job.endswith("dropout_off"):
        for op in model.net.op:
            if op.type == "Dropout":
                op.ClearField("arg")
                op.arg.append(make_argument("is_test", 1))
    weights = generated_weights(model.params + model.computed_params)
    assert weights_sha256(weights) == golden["weights_sha256"]

    random = np.random.RandomState(1001)
    data = random.randn(batch, *model.clip_shape).astype(np.float32)
    if config.multi_label:
        label = (random.rand(batch, config.num_labels) < 0.3).astype(np.int32)
    else:
        label = random.randint(0, config.num_labels, batch).astype(np.int32)
    with TorchEngine() as engine:
        engine.load(model.param_init_net, model.net, weights)
        engine.feed("data", data)
        engine.feed("label", label)
        torch.manual_seed(0)
        engine.run()
        first = golden["iterations"][0]
        np.testing.assert_allclose(engine.fetch("loss").reshape(-1), np.reshape(first["loss"], -1), rtol=1e-5)
        scores = "prob" if config.multi_label else "softmax"
        np.testing.assert_allclose(engine.fetch(scores), first[scores], atol=1e-5)
        for name in golden["computed"]:
            expected = golden["snapshots"]["1"]["params"][name]
            found = engine.fetch(name).astype(np.float64)
            seed = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
            sample = found.reshape(-1)[seed.randint(0, found.size, 8)]
            np.testing.assert_allclose(sample, expected["sample"], rtol=1e-4, atol=1e-5 * expected["absmax"])
            np.testing.assert_allclose(found.mean(), expected["mean"], rtol=1e-5, atol=1e-6 * expected["absmax"])
