"""python -m tests.export.measure: the table of docs/guide/export.md, measured on a small network of each family.

The largest difference of a score from the model's own, in a batch of 1 and one of 3. Real Caffe2 is in another
environment: this one is asked for its column where it is there. `--json` prints the figures of this Python alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from tests.engines.real_caffe2 import HAS_CAFFE2
from tests.export.families import FAMILIES, InCaffe2, InOnnxRuntime, clips_and_scores, model_of
from vmz.export.formats import export
from vmz.model.module import VideoModel
from vmz.model.nets import Nets

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("ONNX Runtime", "torch.export", "Caffe2")
Scores = Callable[[list[np.ndarray]], np.ndarray]


def measured(family: str, folder: Path) -> dict[str, float]:
    """{column: largest difference}, of what this Python runs."""
    model = model_of(family)
    if HAS_CAFFE2:
        done = export(model, folder / "predict_net.pb", verify=False)
        net = InCaffe2(done.paths, next(iter(done.outputs)), list(done.inputs))
        scale = Nets.of(model.config).scale
        return {COLUMNS[2]: difference(model, lambda given: net(given, scale))}
    export(model, folder / "net.onnx", verify=False)
    session = InOnnxRuntime(folder / "net.onnx")
    export(model, folder / "net.pt2", verify=False)
    program = torch.export.load(folder / "net.pt2").module()
    return {
        COLUMNS[0]: difference(model, lambda given: session(given)[1]),
        COLUMNS[1]: difference(model, lambda given: program(*map(torch.from_numpy, given))[1].detach().numpy()),
    }


def difference(model: VideoModel, scores: Scores) -> float:
    batches = [clips_and_scores(model, count) for count in (1, 3)]
    return max(float(np.abs(scores(given) - expected).max()) for given, expected in batches)


def main() -> int:
    found: dict[str, dict[str, float]] = {}
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            found[family] = measured(family, Path(folder))
        print(family, found[family], file=sys.stderr, flush=True)
    if "--json" in sys.argv:
        print(json.dumps(found))
        return 0
    other = ROOT / ".venv-caffe2" / "bin" / "python"
    if not HAS_CAFFE2 and other.exists():
        command = [str(other), "-m", "tests.export.measure", "--json"]
        answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        for family, figures in json.loads(answer).items():
            found[family].update(figures)
    print(f"| network | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
    for family, figures in found.items():
        print(f"| {family} | {' | '.join(f'{figures[c]:.1e}' if c in figures else '-' for c in COLUMNS)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
