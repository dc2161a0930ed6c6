"""Write tests/goldens/measured/relu_decisions.json: what the original's ReLUs decided by rounding.

The first iteration of a golden training run leaves momenta that differ from exact arithmetic by up to 1e-2. This finds
out from the recorded momenta alone why: of the ReLU inputs that are no further from 0 than float32 rounding reaches,
which ones went the other way than float64 says? Each such turn adds a known change to the gradients, so that the
recorded ones are a sum of some of these changes, each with a coefficient of 0 or 1: hundreds of equations for dozens.
It proves itself by what it leaves over: 1e-5 where there was 1e-2.

Run from the repository root, with the golden data beside it: python -m tests.goldens.measure_relu_decisions [JOB ...]
One to six minutes a job on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
import torch

from tests.goldens.relu_gates import DECISIONS, Gates, first_batch, gated, network
from tests.goldens.training import Snapshot, TrainingGolden, jobs, snapshot
from vmz.files import atomic_write
from vmz.progress import Progress

REACH = 3.5  # times the root mean square of a channel's rounding error: further from 0 rounding decides nothing
RESIDUE = 1e-4  # what may be left over, of a blob's largest value


def undecided(gates: Gates, golden: TrainingGolden) -> list[tuple[int, int]]:
    """(operator, place) of the inputs near 0, from the last layer to the first."""
    gates.keep_inputs = True
    with torch.no_grad():
        network(golden, torch.float32)(*first_batch(golden, torch.float32))
        rounded, gates.inputs = gates.inputs, {}
        network(golden, torch.float64)(*first_batch(golden, torch.float64))
    found = []
    for number, exact in gates.inputs.items():
        axes = [0, *range(2, exact.dim())]
        error = (rounded[number] - exact).pow(2).mean(axes, keepdim=True).sqrt()
        places = torch.nonzero((exact.abs() < REACH * error).reshape(-1)).ravel().tolist()
        found += [(number, place) for place in places]
    gates.keep_inputs, gates.inputs, gates.are_laid_down = False, {}, True  # as float64 decided
    return found[::-1]


class Momenta:
    """The momenta after the first iteration as a function of the gates, in units of each blob's largest recorded one.

    Those of batch norms and of the classifier: they do not need the costly gradients of convolution weights.
    """

    def __init__(self, golden: TrainingGolden) -> None:
        self._recorded: Snapshot = {"momentum": golden.recorded_snapshot(1)["momentum"]}
        self._golden = golden
        module = network(golden, torch.float32)
        weights = {blob for op in golden.build("", None, 1.0).net.op if op.type == "Conv" for blob in op.input[1:]}
        self._parameters = dict(module.named_parameters())
        for blob, parameter in self._parameters.items():
            parameter.requires_grad_(blob not in weights)
        self._loss = module(*first_batch(golden, torch.float32))["loss"].sum()

    def recorded(self) -> np.ndarray:
        return self._in_units(self._recorded)

    def __call__(self) -> np.ndarray:
        optimizer, rate = self._golden.recorded["optimizer"], self._golden.recorded["iterations"][0]["LR"]
        decayed = {blob.rpartition("/")[2] for blob in self._golden.recorded["weight_decayed"]}
        learning = {blob: p for blob, p in self._parameters.items() if p.requires_grad}
        gradients = torch.autograd.grad(self._loss, list(learning.values()), retain_graph=True)
        momenta = {}
        for (blob, parameter), gradient in zip(learning.items(), gradients):
            decay = optimizer["weight_decay"] * parameter.detach() if blob in decayed else 0
            momenta[blob] = (rate * (gradient + decay)).numpy()
        return self._in_units(snapshot({"momentum": momenta}))

    def _in_units(self, found: Snapshot) -> np.ndarray:
        """The eight samples of each blob."""
        return np.concatenate(
            [
                found["momentum"][blob][:8] / self._recorded["momentum"][blob][-1]
                for blob, parameter in self._parameters.items()
                if parameter.requires_grad
            ]
        )


def turned(golden: TrainingGolden) -> list[tuple[int, int]]:
    """The decisions of the original that are not float64's."""
    with gated() as gates:
        candidates = undecided(gates, golden)
        momenta = Momenta(golden)
        before = momenta()
        missing = momenta.recorded() - before
        changes = []
        with Progress(len(candidates), "ReLUs", golden.job) as shown:
            for number, place in candidates:
                gates.turn(number, place)
                changes.append(momenta() - before)
                gates.turn(number, place)
                shown.update()
        chosen = [candidates[place] for place in explaining(missing, np.stack(changes, 1))]
        for number, place in chosen:
            gates.turn(number, place)
        left = np.abs(momenta.recorded() - momenta()).max()
    print(
        f"{golden.job}: {len(chosen)} of {len(candidates)} ReLU inputs near 0 went the other way than in float64; "
        f"{np.abs(missing).max():.1e} of the largest momentum without them, {left:.1e} with them",
        flush=True,
    )
    if left > RESIDUE:
        raise SystemExit(f"{golden.job}: {left:.1e} is left over, more than {RESIDUE}: the cause is another")
    return sorted(chosen)


def explaining(missing: np.ndarray, changes: np.ndarray) -> list[int]:
    """The columns of `changes` whose sum comes closest to `missing`: one or two are taken in or put out at a time, the
    ones that help most, until nothing helps."""
    taken = np.zeros(changes.shape[1], bool)
    while True:
        left, ways = missing - changes @ taken, changes * np.where(taken, 1, -1)
        products = ways.T @ ways
        alone = 2 * ways.T @ left + np.diag(products)  # what each does to the sum of squares
        together = alone[:, None] + alone[None, :] + 2 * products
        np.fill_diagonal(together, alone)
        best = np.unravel_index(np.argmin(together), together.shape)
        if together[best] >= -1e-9 * (left @ left):
            return [int(place) for place in np.flatnonzero(taken)]
        taken[list(set(best))] ^= True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", default=jobs(), help="golden runs; all, if not given")
    written = json.loads(DECISIONS.read_text()) if DECISIONS.exists() else {}
    for job in parser.parse_args().jobs:
        found: dict[str, list[int]] = {}
        for number, place in turned(TrainingGolden(job)):
            found.setdefault(str(number), []).append(place)
        written[job] = found
        lines = [f'  "{name}": {json.dumps(places)}' for name, places in sorted(written.items())]
        with atomic_write(DECISIONS, "w") as stream:
            stream.write("{\n" + ",\n".join(lines) + "\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
