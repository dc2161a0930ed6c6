#!/usr/bin/env python3
"""Check on a GPU what the tests can only check on a CPU. One command, about ten minutes on one GPU:

    python scripts/cuda_check.py --output=cuda_check.json

Each check is a process of its own with a time limit; the others go on after a failure. --device=cpu runs on small
networks what needs no GPU, and says what it leaves out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]

from scripts._cuda_checks import CHECKS, Skipped, failures  # noqa: E402
from vmz.engines.torch_engine.devices import checked_device  # noqa: E402
from vmz.errors import UsageError  # noqa: E402
from vmz.files import write_json  # noqa: E402

RESULT = "vmz_check_result "


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: what needs no GPU, in small")
    parser.add_argument("--only", metavar="N,N", help="numbers of the checks to run; all by default")
    parser.add_argument("--seconds", type=float, default=240, help="time limit of each check")
    parser.add_argument("--output", metavar="FILE", help="the results as JSON")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one is not None:
        return run_here(options.one, options.device)
    known = [check.number for check in CHECKS]
    wanted = known
    if options.only:
        texts = options.only.split(",")
        if not all(text.isdigit() and int(text) in known for text in texts):
            parser.error(f"--only={options.only}: the checks are {', '.join(map(str, sorted(known)))}")
        wanted = [int(text) for text in texts]
    import torch

    try:
        checked_device(options.device)
    except UsageError as error:
        parser.error(f"{error}, which runs what needs no GPU")
    where = torch.cuda.get_device_name(0) if options.device == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__} on {where}; not checked: {MISSING}", flush=True)
    results = []
    for check in [check for check in CHECKS if check.number in wanted]:
        results.append({"number": check.number, "what": check.what, **run_apart(check.number, options)})
        found = results[-1]
        print(f"{found['status']:4}  {check.number:2}  {check.what} ({found['seconds']:.0f} s)", flush=True)
        for name, value in found["figures"].items():
            print(f"          {name}: {value}", flush=True)
        if found["reason"]:
            print(f"          {found['reason']}", flush=True)
        if options.output:  # as far as it got
            write_json(options.output, {"torch": torch.__version__, "device": where, "checks": results})
    count = {status: sum(found["status"] == status for found in results) for status in ("PASS", "FAIL", "SKIP")}
    print(", ".join(f"{number} {status}" for status, number in count.items()))
    return 1 if count["FAIL"] else 0


MISSING = "NCCL between several GPUs; real Caffe2 (its wheel has no code for compute capability 8 or later)"


def run_apart(number: int, options: argparse.Namespace) -> dict[str, Any]:
    """The check in a process of its own: {"status", "figures", "reason", "seconds"}."""
    started = time.monotonic()
    command = [sys.executable, __file__, f"--one={number}", f"--device={options.device}"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=options.seconds)
        ended = f"ended with status {process.returncode}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        ended = f"not done after {options.seconds:g} s"
    found: dict[str, Any] = {"status": "FAIL", "figures": {}, "reason": ""}
    lines = [line for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(RESULT)]
    if told:
        found = json.loads(told[-1][len(RESULT) :])
    else:
        found["reason"] = f"{ended}: {' | '.join(lines[-3:])[-600:]}"
    return {**found, "seconds": time.monotonic() - started}


def run_here(number: int, device: str) -> int:
    check = next(check for check in CHECKS if check.number == number)
    found: dict[str, Any] = {"status": "PASS", "figures": {}, "reason": ""}
    try:
        check.run(device, found["figures"])
    except Skipped as skipped:
        found.update(status="SKIP", reason=str(skipped))
    except failures() as error:
        found.update(status="FAIL", reason=f"{type(error).__name__}: {str(error).strip()[:600]}")
    print(RESULT + json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
