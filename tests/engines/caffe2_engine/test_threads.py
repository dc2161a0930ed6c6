"""Caffe2 computes with one thread unless it is told otherwise. In a process of its own: Caffe2 starts once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vmz.cores import MKL, OMP, available_cores

THREADS = "import sys; from vmz.engines.caffe2_engine.workspace import import_caffe2; import_caffe2(); import torch; "
COUNT = THREADS + "print(torch.get_num_threads(), torch.__config__.parallel_info())"


@pytest.mark.parametrize(("variables", "count"), [({}, None), ({"OMP_NUM_THREADS": "1"}, 1)])
def test_caffe2_computes_with_all_cores_or_as_many_as_asked(variables: dict[str, str], count: int) -> None:
    pytest.importorskip("caffe2")
    others = {name: value for name, value in os.environ.items() if name not in (OMP, MKL)}
    environment = {**others, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    done = subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, text=True, check=True)
    found = [line.rpartition(": ")[2] for line in done.stdout.splitlines() if "_get_max_threads" in line]
    assert len(found) == 2 and set(map(int, found)) == {count or available_cores()}, done.stdout
