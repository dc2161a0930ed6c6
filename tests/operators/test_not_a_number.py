"""What overflows in a network must come out as NaN, not as a score: which operators lose it, on both engines."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import torch
from torch.fx import GraphModule

from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.operators.case import Case
from tests.operators.not_a_number import in_caffe2, lose_it
from tests.operators.table import CASES
from vmz.engines.torch_engine.graph.importer import import_net, input_blobs

# They give a decision, a place or a count, no number that is computed on, or one of two constants.
DECISIONS = {"Accuracy", "ArgMax", "ArgMin", "Cast", "MultiClassAccuracy", "Sign", "StumpFunc"}

# Eigen's maxima and comparisons pass over NaN. ops/caffe2/max_pool_op.cc and comparing_ops.cc take the place of these.
OF_THE_WHEEL = {
    "ColwiseMax", "Max", "MaxPool", "MaxPool1D", "MaxPool2D", "MaxPool3D", "Min", "ReduceBackMax", "ReduceFrontMax",
    "ReduceMax", "ReduceMin", "RowwiseMax", "ThresholdedRelu", "TopK",
}  # fmt: skip

# What the networks of the zoo are made of besides, of which none may lose it.
NEVER = {
    "Add", "AveragePool", "Clip", "Concat", "Conv", "CrossEntropy", "Elu", "FC", "LRN", "LeakyRelu", "Mul", "PRelu",
    "ReduceMean", "Relu", "Sigmoid", "Softmax", "SoftmaxWithLoss", "SpatialBN", "Sum", "Tanh",
}  # fmt: skip


def test_the_pytorch_engine_loses_it_in_decisions_alone() -> None:
    modules: dict[str, GraphModule] = {}

    def run(case: Case, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        if case.name not in modules:
            modules[case.name] = import_net(case.net())
        module = modules[case.name]
        found = module(*(torch.from_numpy(feeds[blob].copy()) for blob in input_blobs(module)))
        return [value.detach().numpy() for value in found.values()]

    assert lose_it(run) == DECISIONS


@needs_operators
def test_caffe2_with_our_operators_loses_it_in_decisions_alone() -> None:
    from vmz.engines.caffe2_engine.workspace import import_caffe2

    import_caffe2()
    assert lose_it(in_caffe2) == DECISIONS


@needs_caffe2
def test_the_wheel_alone_loses_it_in_maxima_too() -> None:
    """Why ours take their place; none of NEVER is among them."""
    command = [sys.executable, "-m", "tests.operators.not_a_number"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert found == DECISIONS | OF_THE_WHEEL
    assert not found & NEVER and {case.type for case in CASES.values()} >= NEVER
