"""Our trainer on two CPU devices of real Caffe2, in a process of its own: its number of threads is then that of the old
program beside it, whatever other tests have made of this process's.

    python -m tests.legacy.two_devices DATABASE WEIGHTS STATE [FLAG ...]

trains for two iterations with train_net's flags and writes the state, {blob: array}.
"""

from __future__ import annotations

import sys

from vmz.checkpoints.pickles import load_pickle, save_pickle
from vmz.engines.caffe2_trainer import Caffe2Trainer
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Training
from vmz.workflows.options import parse, train_parser
from vmz.workflows.training_nets import builder


def main(database: str, weights: str, state: str, *flags: str) -> None:
    options = parse(train_parser(""), [*flags, f"--train_data={database}", "--epoch_size=8"])
    trainer = Caffe2Trainer(["cpu", "cpu"])
    training = Training(Schedule(0.02, stepsize=2), weight_decay=0.005)
    trainer.load(builder(options, is_train=True), training, load_pickle(weights))
    for _ in range(2):
        trainer.step()
    save_pickle(state, trainer.state())


if __name__ == "__main__":
    main(*sys.argv[1:])
