"""The kernels run on a GPU where there is one, else in Triton's interpreter (tests/conftest.py asks for it)."""

from __future__ import annotations

import os

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> str:
    """Where the kernels run here. Skips where triton is not installed."""
    try:
        import triton
    except ImportError:
        if os.environ.get("CI") and int(torch.__version__.split(".")[0]) >= 2:  # the second environment has none
            pytest.fail("triton is not installed: the kernels would be untested")
        pytest.skip("triton is not installed")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    assert found == "cuda" or triton.knobs.runtime.interpret, "triton was imported before tests/conftest.py"
    return found
