"""The kernels become machine code for real GPUs here too, where there is none: Triton and ptxas need no device."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

NAMES = ["depthwise forward", "depthwise input gradient", "depthwise weight gradient", "pointwise forward"]


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_they_compile_and_keep_their_values_in_registers(capability: int, device: str) -> None:
    """A100 and H100. Spilled registers would be traffic of their own; the fetches ahead are cp.async.

    The choices were made for 9.0; on 8.0 one of the weight gradient's spills two registers.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TRITON_INTERPRET": "0"}
    command = [sys.executable, "-m", "tests.engines.torch_engine.kernels.compilation", str(capability)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert sorted({each["kernel"] for each in found}) == sorted(NAMES)
    for each in found:
        assert each["stack"] <= (0 if capability == 90 else 8) and each["registers"] <= 255, each
        assert each["stages"] == 1 or each["fetches"] > 0, each
