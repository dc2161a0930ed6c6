"""What test_module runs in two processes: the gradients of a VideoModel under DistributedDataParallel.

    torchrun --nproc_per_node=2 -m tests.model.parallel_program FOLDER

writes FOLDER/eval0.npz and the like: of each mode and process {parameter: gradient}.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import torch
from torch import nn

from vmz.checkpoints.seeded import seeded_weights
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build

EACH = 2  # clips of a process


def model() -> VideoModel:
    config = ModelConfig(model_depth=10, clip_length=8, num_labels=5, channel_multiplier=0.1)
    net = build(config, scope="")
    return VideoModel(config, seeded_weights([*net.params, *net.computed_params], seed=3))


def clips_and_labels() -> tuple[torch.Tensor, torch.Tensor]:
    clips = torch.randn(2 * EACH, 3, 8, 112, 112, generator=torch.Generator().manual_seed(1))
    return clips, torch.arange(2 * EACH) % 5


def gradients(whole: VideoModel, mode: str) -> dict[str, np.ndarray]:
    """Of one process: of all clips at once, or in training mode, where the batch counts, the mean of the halves'."""
    whole.train(mode == "train")
    clips, labels = clips_and_labels()
    batches = [slice(0, 2 * EACH)] if mode == "eval" else [slice(0, EACH), slice(EACH, 2 * EACH)]
    whole.zero_grad()
    for part in batches:
        (nn.functional.cross_entropy(whole(clips[part]), labels[part]) / len(batches)).backward()
    return taken(whole)


def taken(of: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.grad.numpy().copy() for name, value in of.named_parameters() if value.grad is not None}


def main(folder: str) -> None:
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    clips, labels = clips_and_labels()
    part = slice(rank * EACH, (rank + 1) * EACH)
    for mode in ("eval", "train"):
        parallel = nn.parallel.DistributedDataParallel(model())
        parallel.train(mode == "train")
        nn.functional.cross_entropy(parallel(clips[part]), labels[part]).backward()
        np.savez(os.path.join(folder, f"{mode}{rank}.npz"), **taken(parallel.module))  # type: ignore[arg-type]
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
