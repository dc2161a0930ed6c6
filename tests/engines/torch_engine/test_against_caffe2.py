"""Whole nets, blob by blob, against real Caffe2: runs where a wheel that carries it (torch 1.10.2) is installed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.goldens.golden_nets import golden_net
from tests.support.generated_weights import generated_weights
from vmz.engines.torch_engine.engine import TorchEngine

workspace = pytest.importorskip("caffe2.python.workspace")
# Caffe2's protos are numbered in one registry with ours: protos.py has taken Caffe2's own.

# file -> (shape of a clip, how far apart the two may be: largest difference over largest value). A net with is_test=0
# normalises few values a channel here, which magnifies rounding.
NETS = {
    "net_009_r2df_10_test_patched": ((3, 8, 112, 112), 3e-6),
    "net_105_rmc3_10_train_patched": ((3, 8, 112, 112), 1e-5),
    "net_002_r2d_18_test": ((3, 8, 112, 112), 3e-6),
    "net_162_r2plus1d_18_train": ((3, 8, 112, 112), 2e-4),
    "net_168_c3d_10_test": ((3, 16, 112, 112), 3e-6),
    "net_203_ir_csn_101_test": ((3, 4, 112, 112), 3e-6),
    "net_209_ip_csn_101_test": ((3, 8, 112, 112), 3e-6),
}


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("file", NETS)
def test_every_blob(file: str, optimize: bool) -> None:
    clip, tolerance = NETS[file]
    golden = golden_net(file)
    full = {blob.rpartition("/")[2]: blob for blob, _ in golden.shapes}
    weights = {full[name]: array for name, array in generated_weights(golden.shapes).items()}
    random = np.random.RandomState(0)
    first = next(op for op in golden.net.op if op.type == "Conv")
    channels = dict(golden.shapes)[first.input[1]][1]
    labels = next(shape[0] for blob, shape in golden.shapes if "last_out_L" in blob)
    multi_label = any(op.type == "Sigmoid" for op in golden.net.op)
    prediction = next(op.output[0] for op in golden.net.op if op.type in ("Sigmoid", "Softmax", "SoftmaxWithLoss"))
    feeds = {
        "gpu_0/data": random.randn(1, channels, *clip[1:]).astype(np.float32),
        "gpu_0/label": (random.rand(1, labels) < 0.3 if multi_label else random.randint(0, labels, 1)).astype(np.int32),
    }
    workspace.ResetWorkspace()
    workspace.RunNetOnce(golden.init_net)
    for blob, array in {**weights, **feeds}.items():
        workspace.FeedBlob(blob, array)
    workspace.RunNetOnce(golden.net)
    compared = 0
    with TorchEngine("cpu", optimize=optimize) as engine:
        blobs = {blob for op in golden.net.op for blob in op.output if "mask" not in blob}
        engine.load(
            golden.init_net,
            golden.net,
            weights,
            keep=["final_avg"] if optimize and "c3d" not in file else sorted(blobs),
        )
        for blob, array in feeds.items():
            engine.feed(blob, array)
        engine.run()
        for blob in [prediction] if optimize else sorted(blobs):  # a fetch of what was not kept runs the net again
            expected, found = workspace.FetchBlob(blob), engine.fetch(blob)
            assert expected.shape == found.shape and expected.dtype == found.dtype
            difference = np.abs(expected.astype(np.float64) - found).max() / max(np.abs(expected).max(), 1e-12)
            assert difference <= tolerance, blob
            compared += 1
    assert compared >= (1 if optimize else 30)
