"""What a run will do: counted as the original counts, refused where nothing would be done."""

from __future__ import annotations

import pytest

from vmz.cli.train_net import configuration
from vmz.errors import UsageError
from vmz.training.config import TrainConfig
from vmz.training.plan import fit_batch, make_plan, text
from vmz.training.run import dry_run

KINETICS = [  # scripts/train_r2plus1d_kinetics.sh of the original
    "--model_name=r2plus1d", "--model_depth=18", "--clip_length_rgb=8", "--batch_size=32", "--base_learning_rate=0.01",
    "--epoch_size=1000000", "--num_epochs=35", "--step_epoch=10", "--weight_decay=0.0001", "--num_labels=400",
]  # fmt: skip


def options(*flags: str) -> TrainConfig:
    return configuration([*flags, "--num_gpus=0"])


def test_counts_as_the_original() -> None:
    plan = make_plan(options(*KINETICS), devices=2)
    assert plan.clips_per_iteration == 64
    assert plan.iterations_per_epoch == 15625
    assert plan.schedule.base_rate == pytest.approx(0.02)
    assert plan.schedule.stepsize == 156250
    assert [epoch for epoch, _ in plan.rates()] == [1, 11, 21, 31]
    assert [rate for _, rate in plan.rates()] == pytest.approx([0.02, 0.002, 0.0002, 0.00002])
    assert plan.schedule.rate(156249) > plan.schedule.rate(156250)  # the iteration numbered stepsize is the first lower


def test_an_epoch_is_whole_iterations() -> None:
    plan = make_plan(options("--epoch_size=1000", "--batch_size=32"), devices=3)
    assert (plan.iterations_per_epoch, plan.epoch_size) == (10, 960)


def test_accumulation_counts_as_devices() -> None:
    many = make_plan(options(*KINETICS), devices=8)
    accumulated = make_plan(options(*KINETICS, "--accumulation_steps=4"), devices=2)
    assert accumulated == many


def test_warm_up_and_cosine() -> None:
    flags = ["--epoch_size=320", "--batch_size=32", "--num_epochs=10", "--warmup_epochs=0.5", "--schedule=cosine"]
    schedule = make_plan(options(*flags, "--base_learning_rate=0.1"), devices=1).schedule
    rates = [schedule.rate(iteration) for iteration in range(1, 101)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1], rel=0.01)
    assert rates[50] == pytest.approx(0.05, rel=1e-5)
    assert 0 < rates[-1] < 1e-4
    assert not schedule.is_original


def test_milestones_and_decay_count_from_the_end_of_the_warm_up() -> None:
    """Epochs of 10 iterations on 4 devices: 2 epochs of warm-up from 0.1, then 0.4, a tenth of it 3 epochs later."""
    flags = ["--epoch_size=1280", "--batch_size=32", "--num_epochs=8", "--base_learning_rate=0.1", "--warmup_epochs=2"]
    starts = [10 * epoch + 1 for epoch in range(8)]
    gradual = make_plan(options(*flags, "--gradual_warmup=1", "--lr_milestones=3"), devices=4).schedule
    wanted = [0.1, 0.25, 0.4, 0.4, 0.4, 0.04, 0.04, 0.04]
    assert [gradual.rate(start) for start in starts] == pytest.approx(wanted, rel=1e-6)
    steps = make_plan(options(*flags, "--gradual_warmup=1", "--decay_after_warmup=1", "--step_epoch=3"), devices=4)
    assert [steps.schedule.rate(start) for start in starts] == pytest.approx(wanted, rel=1e-6)
    cosine = make_plan(options(*flags, "--schedule=cosine", "--decay_after_warmup=1"), devices=4).schedule
    assert cosine.rate(20) == cosine.rate(21) == pytest.approx(0.4)
    assert cosine.rate(51) == pytest.approx(0.2)
    before = make_plan(options(*flags, "--step_epoch=3"), devices=4).schedule  # as it was: the clock runs all along
    assert [before.rate(start) for start in starts[2:5]] == pytest.approx([0.4, 0.04, 0.04])


@pytest.mark.parametrize(
    "flag", ["--lr_milestones=3,2", "--lr_milestones=0", "--lr_milestones=a", "--lr_milestones=nan"]
)
def test_milestones_that_are_none(flag: str) -> None:
    with pytest.raises(UsageError, match="is not a list of epochs that rises, such as 10,20,30"):
        options(flag)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--lr_milestones=50", "after a warm-up of 0 of --num_epochs=50 epochs there are 50"),
        ("--lr_milestones=10 --warmup_epochs=45", "there are 5; milestones count from its end"),
        ("--lr_milestones=10 --schedule=cosine", "--lr_milestones does not go with --schedule=cosine"),
        ("--decay_after_warmup=1 --warmup_epochs=50", "leaves none of --num_epochs=50 to decay in"),
        ("--epoch_size=31", "--epoch_size=31 is smaller than one iteration of 32 clips"),
        ("--base_learning_rate=-1", "is negative"),
        ("--warmup_epochs=-1", "is negative"),
    ],
)
def test_refuses(flag: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(options(*flag.split()), devices=1)


def test_an_epoch_of_one_pass_over_the_data() -> None:
    one_pass = options("--epoch_size=0", "--batch_size=32", "--train_data=lmdb")
    assert make_plan(one_pass, devices=2, videos=1000).iterations_per_epoch == 15
    with pytest.raises(UsageError, match=r"one pass over the 50 videos of lmdb, is smaller .* give --batch_size=25 or"):
        make_plan(one_pass, devices=2, videos=50)
    with pytest.raises(
        UsageError, match="means one pass over the training videos, but --train_data=lmdb contains none"
    ):
        make_plan(one_pass, devices=2)


def test_a_batch_that_one_pass_over_little_data_fills(capsys: pytest.CaptureFixture[str]) -> None:
    for flags, devices, batch in (
        (["--zoo=r2plus1d_d18_l8"], 2, 25), (["--zoo=r2plus1d_d18_l8"], 1, 32), (["--epoch_size=0"], 2, 32),
        (["--zoo=r2plus1d_d18_l8", "--batch_size=32"], 2, 32), (["--zoo=r2plus1d_d18_l8", "--epoch_size=9"], 2, 32),
    ):  # fmt: skip
        found = fit_batch(options(*flags), devices, 50)
        assert found.batch_size == batch, flags
    assert capsys.readouterr().out.count("--batch_size=25 instead of 32") == 1


def test_a_dry_run_of_a_published_model_needs_no_data_either() -> None:
    plan = dry_run(options("--zoo=r2plus1d_d18_l8", "--step_epoch=10", "--num_epochs=20"))
    assert (plan["batch_size_per_device"], plan["labels"], plan["clip"]) == (32, 400, [3, 8, 112, 112])
    assert plan["epoch_size"] is plan["iterations"] is plan["training_pflops"] is None
    assert [entry["from_epoch"] for entry in plan["learning_rates"]] == [1, 11]
    assert "epoch      one pass over --train_data, which does not exist; 20 epochs" in text(plan)


def test_dry_run_needs_no_data() -> None:
    plan = dry_run(options(*KINETICS))
    assert plan["params_m"] == pytest.approx(33.34, abs=0.01)  # as published_figures.md has it
    assert plan["iterations"] == 31250 * 35
    assert 1 < plan["memory_gib"]["activations"] < 20
    assert plan["memory_gib"]["parameters"] == pytest.approx(3 * plan["params_m"] * 4e6 / 2**30, rel=0.02)
    printed = text(plan)
    assert "31250 iterations" in printed and "0.01 from epoch 1, 0.001 from epoch 11" in printed


def test_dry_run_refuses_a_clip_that_the_layers_do_not_fit() -> None:
    with pytest.raises(UsageError, match="6 frames"):
        dry_run(options("--clip_length_rgb=6"))
