"""python -m tests.goldens.measure_precision: the golden clips in bf16, against the scores that the original gave them.

Runs test_net on each golden end-to-end job in fp32 and in bf16, and prints the golden rows of the table of
docs/internals/precision.md. Needs the golden data beside the clone, and ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from scripts.precision_table import HEAD, row
from tests.goldens.e2e import flags, load_job, run_tool, write_database, write_weights
from tests.goldens.recordings import golden_path

JOBS = {
    "e2e": (
        "mc3_18_8x112_3clip",
        "r3d18_8x112_3clip",
        "r2plus1d18_8x112_10clip",
        "r2plus1d34_16x112_2clip",
        "ircsn50_8x224_2clip",
        "ipcsn152_32x224_1clip",
    ),
    "av/e2e": ("a_resnet18_logmels_3clip", "av_r3d18_3clip"),
}


def softmax(folder: str, name: str, precision: str) -> np.ndarray:
    """float32 (clips, classes): what test_net gives for the clips of a job."""
    job = load_job(name, folder)
    with tempfile.TemporaryDirectory() as held:
        database = write_database(Path(held) / "db", job["videos"], job["labels"])
        weights = write_weights(Path(held) / "weights.pkl", job)
        scores = Path(held) / "scores.npz"
        files = [f"--test_data={database}", f"--load_model_path={weights}", f"--save_scores={scores}"]
        answer = run_tool(f"{job['tool']}.py", *flags(job, num_gpus=0, precision=precision), *files)
        if answer.returncode:
            raise SystemExit(f"{name}: {answer.stderr}")
        return np.array(np.load(scores)["softmax"])


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", nargs="*", help="of the golden jobs; all by default")
    options = parser.parse_args(argv)
    print(f"{HEAD}\n|---|---|---|---|---|---|---|")
    for folder, names in JOBS.items():
        for name in names:
            if options.jobs is None or name in options.jobs:
                golden = np.load(golden_path(f"{folder}/{name}.npz"))["softmax"]
                for precision in ("fp32", "bf16"):
                    print(row(f"{name}, {precision}", "golden", golden, softmax(folder, name, precision)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
