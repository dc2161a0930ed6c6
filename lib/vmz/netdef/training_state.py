"""The names of what a training keeps besides its weights, so that it can go on: in the nets and in checkpoints."""

from __future__ import annotations

MOMENTUM_SUFFIX = "_momentum"  # after the name of the parameter
ITERATION = "optimizer_iteration"  # int64 (1,): Caffe2's own name of the iteration count in a checkpoint
FOREIGN = "vmz_"  # what begins so belongs to an engine or a training, not to the network
POSITION = f"{FOREIGN}position"  # int64 (ranks,): videos that each rank's reader has given, where there is a reader
RANDOM_STATE = f"{FOREIGN}random_state"  # uint8: the engine's random state, in a form of its own
LOSS_SCALE = f"{FOREIGN}loss_scale"  # float32 (2,), with precision fp16: see LossScale.state
NET_ITERATION, NET_RATE = "ITER", "LR"  # blobs of the training net on each device: the iteration, the learning rate


def is_training_state(name: str) -> bool:
    """Whether a blob, named without scope, is no weight: a momentum, the iteration, a random state, ..."""
    return name == ITERATION or name.endswith(MOMENTUM_SUFFIX) or name.startswith(FOREIGN)
