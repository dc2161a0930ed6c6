"""What holds of matching whatever a file and a network have in common."""

from __future__ import annotations

import random

import numpy as np

from vmz.checkpoints.matching import match

SHAPES = [(4,), (3, 4), (4, 3, 3, 3), (4, 3, 1, 3, 3), (4, 3, 3, 3, 3), (5, 4), (5, 4, 1, 1, 1), ()]
NAMES = ["conv1_w", "comp_0_conv_1_w", "comp_0_spatbn_1_s", "last_out_L5_w", "last_out_L3_w", "a", "b", "lr"]
STATE = ["conv1_w_momentum", "optimizer_iteration", "vmz_epoch"]


def test_each_blob_is_used_once_and_the_counts_add_up() -> None:
    draw = np.random.RandomState(0)
    seen = set()
    for number in range(500):
        chance = random.Random(number)
        file = {
            chance.choice(("", "gpu_0/")) + name: np.asarray(draw.random_sample(chance.choice(SHAPES)), np.float32)
            for name in chance.sample(NAMES + STATE, chance.randint(0, 9))
        }
        net = [(chance.choice(("", "gpu_0/")) + name, chance.choice(SHAPES))
               for name in chance.sample(NAMES, chance.randint(0, 8))]  # fmt: skip
        before = {name: array.copy() for name, array in file.items()}
        fitted, report = match(file, net, center_init=chance.random() < 0.5)

        wanted, held = ([name.rpartition("/")[2] for name in names] for names in (dict(net), file))
        parts = [report.copied, tuple(report.adapted), report.missing, tuple(report.mismatched)]
        assert sorted(name for part in parts for name in part) == sorted(wanted)  # each in one part, once
        assert set(report.missing) == set(wanted) - set(held)
        used = set(held) - set(report.unused) - set(STATE)
        assert used == set(wanted) & set(held) and report.training_state == len(set(held) & set(STATE))
        assert len(held) == len(used) + len(report.unused) + report.training_state

        assert {blob.rpartition("/")[2] for blob in fitted} == {*report.copied, *report.adapted}
        shapes = dict(net)
        by_name = {name.rpartition("/")[2]: array for name, array in file.items()}
        for blob, array in fitted.items():
            name = blob.rpartition("/")[2]
            assert array.shape == shapes[blob] and array.dtype == np.float32
            np.testing.assert_allclose(array.sum(), by_name[name].sum(), rtol=1e-5)  # inflating keeps the sum
            if name in report.copied:
                np.testing.assert_array_equal(array, by_name[name])
        assert all(np.array_equal(file[name], before[name]) for name in file)  # the file's own are left as they are
        seen |= {part for part, names in enumerate(parts) if names}
    assert seen == {0, 1, 2, 3}
