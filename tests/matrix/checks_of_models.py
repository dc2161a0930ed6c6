"""What the rows of prediction, export, conversion and fine-tuning assert, as checks.py does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

import vmz
from tests.export.families import InCaffe2, clips_and_scores
from tests.matrix.cells import Cell, Row
from tests.matrix.checks import ON_PYTORCH, SCORES, same_to_the_bit, scores
from tests.matrix.laboratory import LABELS, NETWORK, Laboratory, Result
from vmz.model.nets import Nets


def predictions_of(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((result.folder / "predictions.json").read_text())["videos"]
    return found


def predictions_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the scores of every clip agree between engines to 1e-5; times and videos are equal"""
    found, wanted = (predictions_of(laboratory.result(row, one)) for one in (cell, ON_PYTORCH))
    assert [one["video"] for one in found] == [one["video"] for one in wanted] and found
    for one, other in zip(found, wanted):
        assert len(one["scores"]) == LABELS and np.ptp(one["scores"]) > 1e-4
        assert [clip["span"] for clip in one["clips"]] == [clip["span"] for clip in other["clips"]]
        clips = [np.array([clip["scores"] for clip in video["clips"]]) for video in (one, other)]
        assert len(clips[0]) > 1 and np.abs(clips[0] - clips[1]).max() <= SCORES
        assert np.abs(np.subtract(one["scores"], other["scores"])).max() <= SCORES


def shows_where_it_looked(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the page has the map of each clip beside its frame"""
    result = laboratory.result(row, cell)
    page = (result.folder / "page.html").read_text()
    pictures = sum(len(one["clips"]) for one in predictions_of(result))
    assert page.count("data:image/jpeg;base64,") >= 2 * pictures and "where the network looked" in page


def exported_nets_compute_the_same(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the engine computes the scores of the model from the exported files, to 1e-5"""
    result = laboratory.result(row, cell)
    model: Any = vmz.load_model(str(laboratory["rgb_pkl"]), clip_length=4, device="cpu", **NETWORK)
    nets = [result.folder / "predict_net.pb", result.folder / "init_net.pb"]
    for paths in (nets, [result.folder / "net.mdl"]):
        for count in (1, 3):
            given, expected = clips_and_scores(model, count)
            if cell.engine == "caffe2":
                found = InCaffe2(paths, "softmax")(given, Nets.of(model.config).scale)
            else:
                with torch.no_grad():
                    found = vmz.import_net(*map(str, paths))(*map(torch.from_numpy, given))["softmax"].numpy()
            assert np.abs(found - expected).max() <= SCORES


def converts_there_and_back(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """test_net gives the same scores for the engine's .mdl, for a .pth of it and for a .pkl of that, to the bit"""
    result = laboratory.result(row, cell)
    for name in ("scores.npz", "again.npz"):
        same_to_the_bit(scores(result, name), scores(result, "whole.npz"))


def fine_tunes_from_folders(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the checkpoint has the classes of the folders; predict names them, with the same scores on both engines"""
    result = laboratory.result(row, cell)
    (one,) = predictions_of(result)
    assert sorted(top["name"] for top in one["top"]) == [f"class {number}" for number in range(LABELS)]
    assert json.loads((result.folder / "own" / "results.json").read_text())["label_names"][0] == "class 0"
    other = result.folder / "own" / "finetuned_best.pkl"
    model: Any = vmz.load_model(str(other), device="cpu")
    assert np.abs(model.predict(one["video"]).scores - one["scores"]).max() <= SCORES
