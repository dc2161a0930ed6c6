"""Our trainer on two CPU devices of real Caffe2, in a process of its own: its number of threads is then that of the old
program beside it, whatever other tests have made of this process's.

    python -m tests.legacy.two_devices DATABASE WEIGHTS STATE [FLAG ...]

trains for two iterations with train_net's flags and writes the state, {blob: array}.
"""

from __future__ import annotations

import sys

from vmz.checkpoints.pickles import load_pickle, save_pickle
from vmz.cli.train_net import configuration
from vmz.engines.caffe2_engine.trainer import Caffe2Trainer
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Training
from vmz.training.nets import builder


def main(database: str, weights: str, state: str, *flags: str) -> None:
    config = configuration([*flags, f"--train_data={database}", "--epoch_size=8"])
    trainer = Caffe2Trainer(["cpu", "cpu"])
    training = Training(Schedule(0.02, stepsize=2), weight_decay=0.005)
    trainer.load(builder(config), training, load_pickle(weights))
    for _ in range(2):
        trainer.step()
    save_pickle(state, trainer.state())


if __name__ == "__main__":
    main(*sys.argv[1:])
