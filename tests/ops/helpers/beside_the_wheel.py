"""What our library computes in place of the wheel, beside it. In processes of their own, for a library stays loaded."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.ops.helpers.operator import LIBRARY
from vmz.cores import MKL, OMP

START = f"""
import os
import numpy as np
from caffe2.python import core, dyndep, workspace

workspace.GlobalInit(["x", "--caffe2_log_level=3", "--caffe2_omp_num_threads=3", "--caffe2_mkl_num_threads=1"])

def load():
    dyndep.InitOpsLibrary({str(LIBRARY)!r})

def run(type, inputs, outputs, **arguments):
    workspace.RunOperatorOnce(core.CreateOperator(type, inputs, outputs, **arguments))
    return [workspace.FetchBlob(name) for name in outputs]
"""
COMPARE = """
wheel = results()
load()
ours = results()
same = [a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(wheel, ours)]
print(len(wheel), len(ours), sum(same))
"""


def printed(code: str) -> list[int]:
    """The numbers that `code` prints after START, in a process with three threads of OpenMP."""
    environment = {**os.environ, OMP: "3", MKL: "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", START + code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def compared(results: str) -> int:
    """How many arrays `results`, the code of a function results(), gives: by the wheel and by ours the same bits."""
    wheel, ours, same = printed(results + COMPARE)
    assert wheel == ours == same
    return wheel
