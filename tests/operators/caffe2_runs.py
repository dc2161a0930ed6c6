"""Cases in real Caffe2: the values of the outputs, and the gradients of the inputs where Caffe2 has them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tests.operators.case import Case
from vmz.netdef.protos import NetDef


class Numbers(NamedTuple):
    """outputs: {blob: array}. gradients: {input: array}, empty where there are none."""

    outputs: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


def run_in_caffe2(case: Case) -> Numbers:
    """What the wheel computes. Raises RuntimeError as Caffe2 does."""
    from caffe2.python import core, workspace

    workspace.ResetWorkspace()
    feeds = case.feeds()
    for blob, array in feeds.items():
        workspace.FeedBlob(blob, array)
    net = case.net(real=True)
    workspace.C.run_net_once(net.SerializeToString())
    outputs = {blob: np.array(workspace.FetchBlob(blob)) for blob in case.outputs if workspace.HasBlob(blob)}
    wanted = [blob for blob in case.differentiated if blob in outputs and outputs[blob].dtype == np.float32]
    gradients: dict[str, Any] = {}
    if wanted:
        copy = core.Net(NetDef.FromString(net.SerializeToString()))
        try:
            made = copy.AddGradientOperators({blob: f"{blob}_behind" for blob in wanted})
        except Exception:
            return Numbers(outputs, {})  # Caffe2 has no gradient of it
        for blob in wanted:
            copy.Proto().external_input.append(f"{blob}_behind")
            workspace.FeedBlob(f"{blob}_behind", case.weight(blob, outputs[blob].shape))
        try:
            workspace.C.run_net_once(copy.Proto().SerializeToString())
        except RuntimeError:
            if case.differs:
                return Numbers(outputs, {})
            raise
        for blob in feeds:
            if str(made.get(blob, "")) and workspace.HasBlob(str(made[blob])):
                found = np.array(workspace.FetchBlob(str(made[blob])))
                if found.dtype == np.float32 and found.shape == feeds[blob].shape:
                    gradients[blob] = found
    return Numbers(outputs, gradients)
