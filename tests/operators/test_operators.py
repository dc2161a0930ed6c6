"""Every operator of the PyTorch engine against real Caffe2: recorded numbers everywhere, live ones where it is."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from tests.engines.real_caffe2 import HAS_CAFFE2, needs_caffe2
from tests.engines.small_nets import net, op
from tests.operators import recorded
from tests.operators.caffe2_runs import Numbers, run_in_caffe2
from tests.operators.case import Case
from tests.operators.page import HEAD, PAGE, rows
from tests.operators.table import CASES, LIMIT, WITHOUT
from tests.operators.torch_runs import difference, run_in_torch
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph.op import REGISTRY
from vmz.netdef.analysis import infer_shapes
from vmz.netdef.shape_rules import RULES

RECORDED = recorded.read()
OPERATORS = sorted({case.type for case in CASES.values()})


def cases_of(operator: str) -> list[Case]:
    return [case for case in CASES.values() if case.type == operator]


def test_every_operator_has_cases_and_a_shape_rule() -> None:
    assert set(REGISTRY) == set(OPERATORS) | set(WITHOUT)
    assert not set(OPERATORS) & set(WITHOUT)
    assert set(REGISTRY) <= set(RULES)
    for operator, registered in REGISTRY.items():
        arguments = {name for case in cases_of(operator) for name in case.arguments}
        if operator not in WITHOUT and len(registered.arguments) > 2:
            assert len(cases_of(operator)) >= 3 or operator[-2:] in ("1D", "2D", "3D"), operator
            assert arguments, operator


def test_what_is_recorded_is_of_these_cases() -> None:
    assert {name: what for name, (what, _) in RECORDED.items()} == {
        name: recorded.said(case) for name, case in CASES.items()
    }, "run .venv-caffe2/bin/python -m tests.operators"


def check(case: Case, expected: Numbers) -> None:
    found = run_in_torch(case, expected)
    assert difference(expected.outputs, found.outputs) <= LIMIT, f"{case.name} forward"
    if case.differs:
        assert difference(expected.gradients, found.gradients) > LIMIT or not expected.gradients, case.name
    else:
        assert difference(expected.gradients, found.gradients) <= LIMIT, f"{case.name} gradient"


@pytest.mark.parametrize("operator", OPERATORS)
def test_recorded_numbers(operator: str) -> None:
    for case in cases_of(operator):
        check(case, RECORDED[case.name][1])


@needs_caffe2
@pytest.mark.parametrize("operator", OPERATORS)
def test_live_numbers(operator: str) -> None:
    from vmz.engines.caffe2_engine.workspace import import_caffe2

    import_caffe2()
    for case in cases_of(operator):
        live = run_in_caffe2(case)
        for ours, theirs in zip(live, RECORDED[case.name][1]):
            assert difference(theirs, ours) <= 1e-6, f"{case.name} is not what was recorded"
        check(case, live)


@pytest.mark.parametrize("operator", OPERATORS)
def test_shape_rules(operator: str) -> None:
    """The rules give the shapes that Caffe2 gave; values of shape inputs come from a fill before the operator."""
    for case in cases_of(operator):
        feeds, shapes, main = case.feeds(), {}, net()
        for blob, array in feeds.items():
            if array.dtype in (np.int32, np.int64) and array.ndim == 1 and "=" in case.inputs[blob]:
                kind = "GivenTensorIntFill" if array.dtype == np.int32 else "GivenTensorInt64Fill"
                main.op.append(op(kind, "", blob, shape=list(array.shape), values=array.tolist()))
            else:
                shapes[blob] = array.shape
        main.op.extend(case.net().op)
        found = infer_shapes(main, shapes)
        for blob, array in RECORDED[case.name][1].outputs.items():
            assert found[blob] == array.shape, f"{case.name} {blob}"


@pytest.mark.parametrize("case", [case for case in CASES.values() if case.differs], ids=lambda case: case.name)
def test_where_the_gradient_is_not_caffe2s_it_is_the_derivative(case: Case) -> None:
    module = import_net(case.net(), outputs=[f"{case.outputs[0]}@0"]).double()
    feeds = [torch.from_numpy(array).double().requires_grad_(True) for array in case.feeds().values()]

    def forward(x: torch.Tensor) -> torch.Tensor:
        (found,) = module(x, *(feed.detach() for feed in feeds[1:])).values()
        return found

    assert torch.autograd.gradcheck(forward, (feeds[0],))


def test_the_page_is_current() -> None:
    """Its figures are those of the machine that wrote it: here they need only be below the limit."""
    text = PAGE.read_text()
    assert text.startswith(HEAD)
    written = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text[len(HEAD) :].splitlines()]
    found = rows({name: numbers for name, (_, numbers) in RECORDED.items()})
    assert [row[:3] + row[5:] for row in written] == [row[:3] + row[5:] for row in found]
    for row in [*written, *found]:
        for cell in row[3:5]:
            assert cell in ("none", "-") or float(cell) <= LIMIT, row


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_dropout_is_its_definition(ratio: float) -> None:
    main = net(op("Dropout", "x", "y m", ratio=ratio, is_test=0))
    x = torch.rand(20, 500) + 0.5
    x.requires_grad_(True)
    found = import_net(main, outputs=["y", "m"])(x)
    kept = found["m"].float()
    assert abs(kept.mean() - (1 - ratio)) < 0.02
    torch.testing.assert_close(found["y"], x * kept / (1 - ratio))
    (gradient,) = torch.autograd.grad(found["y"].sum(), x)
    torch.testing.assert_close(gradient, kept / (1 - ratio))


@pytest.mark.skipif(not HAS_CAFFE2, reason="no Caffe2 in this Python: make setup-caffe2")
def test_dropout_in_caffe2_is_the_same_definition() -> None:
    from tests.operators.case import case

    numbers = run_in_caffe2(case("Dropout", "x:20,500", "y m", ratio=0.25, is_test=0))
    kept = numbers.outputs["m"].astype(np.float32)
    x = case("Dropout", "x:20,500", "y m", ratio=0.25, is_test=0).feeds()["x"]
    np.testing.assert_allclose(numbers.outputs["y"], x * kept / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 0.02
    testing = case("Dropout", "x:4,5", "y", is_test=1)
    check(testing, run_in_caffe2(testing))


@pytest.mark.parametrize("fill", ["UniformFill", "GaussianFill"])
def test_random_values_take_the_shape_of_their_input(fill: str) -> None:
    found = import_net(net(op(fill, "x", "y")), outputs=["y"])(torch.zeros(200, 300))["y"]
    mean, deviation = (0.5, 12**-0.5) if fill == "UniformFill" else (0.0, 1.0)
    assert found.shape == (200, 300)
    assert abs(found.mean() - mean) < 0.02 and abs(found.std() - deviation) < 0.02
