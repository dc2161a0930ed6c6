from __future__ import annotations

import pytest

from vmz import zoo
from vmz.cli.test_net import configuration
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.published import published_account


def options(*argv: str) -> EvaluationConfig:
    return configuration(argv)


def test_the_published_protocol_differs_in_nothing() -> None:
    account = published_account(options("--zoo=r2plus1d_d18_l8"))
    assert account is not None and account.differences == []
    assert account.figures == {"clip@1": 0.532, "video@1": 0.653, "video@5": 0.852}


def test_what_differs_is_named() -> None:
    account = published_account(options("--zoo=r2plus1d_d18_l8", "--clip_per_video=2", "--aggregation=1"))
    assert account is not None
    assert account.differences == ["--clip_per_video=2 instead of 10", "--aggregation=1 instead of 0"]


def test_one_crop_of_a_model_published_with_thirty_views_differs() -> None:
    account = published_account(options("--zoo=ir_csn_152_ft_kinetics_from_ig65m"))
    assert account is not None and account.differences == []  # --zoo is the published protocol
    account = published_account(options("--zoo=ir_csn_152_ft_kinetics_from_ig65m", "--protocol=fast"))
    assert account is not None and account.protocol == "30_views_convolutional"
    assert "--crop_per_clip=1 instead of 3" in account.differences


@pytest.mark.parametrize("path", ["/models/r2.5d_d18_l8.pkl", "R2.5D_D18_L8.pkl"])
def test_a_file_of_the_zoo_is_known_by_its_name(path: str) -> None:
    row = zoo.row_of(None, str(path))
    assert row is not None and row.name == "r2plus1d_d18_l8"


@pytest.mark.parametrize("path", ["/models/r2.5d_d18_l8.mdl", "mine.pkl", "r2.5d_d18_l8"])
def test_a_model_of_ones_own_is_not_published(path: str) -> None:
    assert published_account(options(f"--load_model_path={path}")) is None
    assert published_account(options()) is None
