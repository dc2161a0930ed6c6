"""All cases by name, and the operators that have none of their own, with the reason."""

from __future__ import annotations

from tests.operators.case import Case, numbered
from tests.operators.cases import cases_arrangement, cases_elementwise, cases_layers, cases_windows

CASES: dict[str, Case] = numbered(
    [*cases_windows.CASES, *cases_elementwise.CASES, *cases_layers.CASES, *cases_arrangement.CASES]
)
WITHOUT = {
    "Dropout": "random; held against its definition, and in testing against Caffe2",
    "UniformFill": "random",
    "GaussianFill": "random",
}
LIMIT = 1e-5
