"""What the rows assert. The first line of each docstring stands in docs/reference/engines.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.goldens.reader_cases import FLOW_MEAN, FLOW_SHARE, FLOW_VALUE
from tests.matrix.cells import Cell, Row
from tests.matrix.laboratory import LABELS, Laboratory, Result
from vmz.checkpoints.mdl import load_mdl
from vmz.checkpoints.pickles import load_pickle
from vmz.features.formats.feature_files import load_features

SCORES = 1e-5  # between engines, absolute
WEIGHTS = 1e-5  # between engines after an iteration, of a blob's largest value
# The same of weights behind a ReLU: one whose input is 0 but for rounding passes its gradient on one engine, not on the
# other. docs/internals/training_goldens.md measures up to 5e-4.
KINKS = 1e-3
STATISTICS = ("_rm", "_riv")
ON_PYTORCH = Cell("pytorch", 1)
TWO_BATCHES = ("--accumulation_steps=2", "--epoch_size=4")  # in an iteration

Arrays = Mapping[str, np.ndarray]


def other_cell(cell: Cell) -> Cell:
    """Where the same figures must come out: two processes against one, Caffe2 against PyTorch."""
    return Cell(cell.engine, 1) if cell.processes > 1 else ON_PYTORCH


def same_to_the_bit(found: Arrays, wanted: Arrays) -> None:
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array), name


def close(found: Arrays, wanted: Arrays, tolerance: float, names: Any = None) -> None:
    """Within `tolerance` of each blob's largest value."""
    for name in wanted if names is None else names:
        difference = np.abs(found[name].astype(np.float64) - wanted[name]).max()
        assert difference <= tolerance * np.abs(wanted[name]).max(), (name, difference)


# Training


def trained(result: Result, epoch: int = 1) -> dict[str, np.ndarray]:
    """The weights that a run left, which are those of its state too."""
    weights, state = load_pickle(result.folder / f"run_{epoch}.pkl"), load_mdl(result.folder / f"run_{epoch}.mdl")
    for name, array in weights.items():
        assert np.array_equal(state[name], array), name
        assert np.isfinite(array).all(), name
    return weights


def learns(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the losses are finite, the momenta are not 0, and .pkl and .mdl contain the same weights"""
    result = laboratory.result(row, cell)
    weights = trained(result)
    state = load_mdl(result.folder / "run_1.mdl")
    momenta = [name for name in state if name.endswith("_momentum")]
    assert f"last_out_L{LABELS}_w_momentum" in momenta and len(momenta) < len(weights)
    assert all(np.abs(state[name]).max() > 0 for name in momenta)
    points = json.loads((result.folder / "result.json").read_text())["points"]
    assert len(points) == int(state["optimizer_iteration"][0]) == 2
    assert all(0 < point["loss"] < 40 for point in points)


def fine_tunes(laboratory: Laboratory, row: Row, cell: Cell, kinks: float = KINKS) -> None:
    """after one iteration loss, statistics and weights agree between engines; two devices equal two batches"""
    result = laboratory.result(row, cell)
    weights, before = trained(result), initial(laboratory, row)
    assert {name for name in before if name in weights and np.array_equal(before[name], weights[name])} == set()
    several = cell.processes > 1 or row.commands[0].as_gpus
    if cell == ON_PYTORCH:
        return
    wanted_result = laboratory.result(row, ON_PYTORCH)
    if several:
        wanted_result = laboratory.result(one_process(row), ON_PYTORCH, *TWO_BATCHES)
    wanted = trained(wanted_result)
    assert losses(result) == pytest.approx(losses(wanted_result), rel=WEIGHTS)
    # Of several batches each has its statistics, and the first device's count.
    names = [name for name in weights if not (several and name.endswith(STATISTICS))]
    smooth = [name for name in names if name.endswith(STATISTICS) or name.startswith("last_out")]
    close(weights, wanted, WEIGHTS, names if cell.engine == "pytorch" else smooth)
    close(weights, wanted, kinks, names)


def fine_tunes_on_flow(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the same as on RGB, within the differences between the engines' builds of OpenCV"""
    fine_tunes(laboratory, row, cell, kinks=10 * KINKS)


def fine_tunes_with_sound(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the same, within what one ReLU near 0 changes in a trunk of few channels"""
    # Seen: 1.4e-3 of the bias of one batch norm, which is gone with another number of threads.
    fine_tunes(laboratory, row, cell, kinks=10 * KINKS)


def losses(result: Result) -> list[float]:
    return [point["loss"] for point in json.loads((result.folder / "result.json").read_text())["points"]]


def one_process(row: Row) -> Row:
    """The same training without the flag that asks for several devices."""
    first = row.commands[0]
    flags = tuple(flag for flag in first.flags if not flag.startswith("--num_gpus=2"))
    command = type(first)(first.tool, (*flags, "--num_gpus=0"))
    return Row(row.name, row.tool, row.feature, (command,), row.check)


def initial(laboratory: Laboratory, row: Row) -> dict[str, np.ndarray]:
    """What the row's --load_model_path holds."""
    flag = next(flag for flag in row.commands[0].flags if flag.startswith("--load_model_path="))
    path = laboratory[flag.partition("{")[2].rstrip("}")]
    return load_pickle(path) if path.suffix == ".pkl" else load_mdl(path)


def has_a_new_head(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the classifier is new and learns; the statistics of the trunk agree between engines; test_net accepts it"""
    result = laboratory.result(row, cell)
    weights, before = trained(result), initial(laboratory, row)
    head = sorted(set(weights) - set(before))
    assert [name[-2:] for name in head] == ["_b", "_w"]
    assert f"missing, keep their initial values: {head[1]}, {head[0]}" in result.answers[0].output
    state = load_mdl(result.folder / "run_1.mdl")
    assert np.abs(state[f"{head[1]}_momentum"]).max() > 0
    assert not any(np.array_equal(before[name], weights[name]) for name in set(weights) & set(before))
    assert json.loads((result.folder / "tested.json").read_text())["videos"] == 7
    if cell.processes == 1:
        statistics = [name for name in weights if name.endswith(STATISTICS)]
        close(weights, trained(laboratory.result(row, ON_PYTORCH)), WEIGHTS, statistics)


def keeps_the_trunk(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the trunk is unchanged; the classifier learns and agrees between engines and numbers of processes"""
    weights, before = trained(laboratory.result(row, cell)), initial(laboratory, row)
    head = [name for name in weights if name.startswith("last_out")]
    same_to_the_bit(
        {name: array for name, array in weights.items() if name not in head},
        {name: array for name, array in before.items() if name in weights and name not in head},
    )
    assert not any(np.array_equal(before[name], weights[name]) for name in head)
    more = TWO_BATCHES if cell.processes > 1 else ()
    close(weights, trained(laboratory.result(row, ON_PYTORCH, *more)), WEIGHTS)


def keeps_the_statistics(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the running statistics are unchanged; two processes equal two accumulated batches"""
    weights, before = trained(laboratory.result(row, cell)), initial(laboratory, row)
    for name, array in weights.items():
        assert np.array_equal(array, before[name]) == name.endswith(STATISTICS), name
    if cell.processes > 1:
        close(weights, trained(laboratory.result(row, ON_PYTORCH, *TWO_BATCHES)), WEIGHTS)


def resumes(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """weights, momenta and position equal those of an uninterrupted run, bit for bit"""
    result = laboratory.result(row, cell)
    assert "resuming from" in result.output
    found, wanted = (load_mdl(result.folder / folder / "run_2.mdl") for folder in ("stopped", "whole"))
    assert int(wanted["optimizer_iteration"][0]) == 4
    same_to_the_bit(found, wanted)


def continues_the_other_engine(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """an epoch of the other engine and one of its own equal two of its own, within rounding"""
    result = laboratory.result(row, cell)
    assert "resuming from" in result.output
    found, wanted = (load_mdl(result.folder / folder / "run_2.mdl") for folder in ("stopped", "whole"))
    assert found["optimizer_iteration"] == wanted["optimizer_iteration"] == [2]
    assert found["vmz_position"].tolist() == wanted["vmz_position"].tolist() == [4]
    # Two iterations: seen were 7e-6 and 1.3e-3, by the order in which batch norms add, so by one ReLU near 0.
    close(found, wanted, 5 * KINKS, trained(Result(result.answers, result.folder / "stopped"), 2))


def evaluates(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the figures after the epoch equal those of test_net on its checkpoint, to the last digit"""
    folder = laboratory.result(row, cell).folder
    (epoch,) = json.loads((folder / "result.json").read_text())["epochs"]
    tested = json.loads((folder / "tested.json").read_text())
    assert epoch["figures"] == tested["figures"] and epoch["test_videos"] == tested["videos"] == 7


# Testing


def scores(result: Result, name: str = "scores.npz") -> dict[str, np.ndarray]:
    """What --save_scores kept, but for the path of the database, of which each process of pytest-xdist has its own."""
    with np.load(result.folder / name) as arrays:
        return {key: array for key, array in arrays.items() if key != "database"}


def scores_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the scores of every clip agree between engines to 1e-5; two processes equal one with as many threads"""
    result = laboratory.result(row, cell)
    found = scores(result)
    kind = kind_of(found)
    clips = found[kind]
    assert clips.shape[-1] == LABELS and np.isfinite(clips).all() and np.ptp(clips, axis=0).max() > 1e-4
    figures = json.loads((result.folder / "tested.json").read_text())["figures"]
    assert all(0 <= value <= 1 for value in figures.values())
    wanted_result = laboratory.result(row, other_cell(cell))
    wanted = scores(wanted_result)
    if cell.processes > 1:
        same_to_the_bit(found, wanted)
        assert figures == json.loads((wanted_result.folder / "tested.json").read_text())["figures"]
    assert np.abs(clips - wanted[kind]).max() <= SCORES
    assert np.array_equal(found["label"], wanted["label"])


def nearly_equals(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the scores are those in float32 to 0.02, and not the same"""
    found, full = (scores(laboratory.result(row, cell), *name)["softmax"] for name in ((), ("whole.npz",)))
    assert 0 < np.abs(found - full).max() <= 0.02


def slices_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """slices of a few crops equal the whole batch to 1e-5, on both engines and with two processes"""
    scores_agree(laboratory, row, cell)
    result = laboratory.result(row, cell)
    found, whole = scores(result), scores(result, "whole.npz")
    kind = kind_of(found)
    assert np.abs(found[kind] - whole[kind]).max() <= SCORES


def kind_of(found: Mapping[str, np.ndarray]) -> str:
    """The scores of a network of one label per video, or of several."""
    return "prob" if "prob" in found else "softmax"


def equals_the_lmdb(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """scores, labels, keys and paths equal those through the LMDB of the same videos to the bit"""
    scores_agree(laboratory, row, cell)
    result = laboratory.result(row, cell)
    found, wanted = scores(result, "scores.npz"), scores(result, "whole.npz")
    for name in ("made_by", "label_names"):  # of the list alone
        found.pop(name, None)
        wanted.pop(name, None)
    same_to_the_bit(found, wanted)
    assert len(found["path"]) == len(found["softmax"]) == 14


def aggregates(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """aggregate_scores computes the figures of the run from the saved scores"""
    folder = laboratory.result(row, cell).folder
    run, again = (json.loads((folder / name).read_text()) for name in ("tested.json", "again.json"))
    assert again["figures"] == run["figures"] and again["per_class"] == run["per_class"] and again["videos"] == 7


# Features


def rows_of(path: Path) -> dict[str, np.ndarray]:
    """Features as (clips, values): axes of 1 count for nothing."""
    return {name: array.reshape(len(array), -1) for name, array in load_features(path).items()}


def features_of(result: Result) -> dict[str, np.ndarray]:
    """Of a file, or of the files of several videos, by their names."""
    files = sorted(path for path in (result.folder / "features").rglob("*") if path.suffix in (".npz", ".pkl", ".h5"))
    return {f"{path.name.partition('.')[0]}: {name}": a for path in files for name, a in rows_of(path).items()}


def features_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """features agree between engines to 1e-5; labels, ids and times are equal; two processes equal one"""
    found = features_of(laboratory.result(row, cell))
    wanted = features_of(laboratory.result(row, other_cell(cell)))
    assert found and list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape and len(array), name
        if cell.processes > 1 or array.dtype.kind in "iu":
            assert np.array_equal(found[name], array), name
        assert np.abs(found[name].astype(np.float64) - array).max() <= SCORES * max(1.0, np.abs(array).max()), name


def random_features(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """two processes draw the same clips as one; another seed and the other engine draw different clips"""
    found = features_of(laboratory.result(row, cell))
    if cell.processes > 1:
        same_to_the_bit(found, features_of(laboratory.result(row, Cell(cell.engine, 1))))
        return
    other = features_of(laboratory.result(row, cell, "--seed=5"))
    assert np.array_equal(found["0: label"], other["0: label"])
    assert not np.array_equal(found["0: softmax"], other["0: softmax"])


def formats_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the file has the same contents as the .npz of the same run, and agrees between engines to 1e-5"""
    features_agree(laboratory, row, cell)
    from tests.matrix.rows import ROWS

    plain = next(one for one in ROWS if one.name == row.name.rpartition("_")[0])
    found, wanted = features_of(laboratory.result(row, cell)), features_of(laboratory.result(plain, cell))
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert np.array_equal(found[name], array), name


def dense_figures(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the figures equal those computed from the features; a stream fused with itself keeps its figures"""
    result = laboratory.result(row, cell)
    arrays = rows_of(result.folder / "features" / "0.npz")
    ids, labels, softmax = arrays["video_id"][:, 0], arrays["label"][:, 0], arrays["softmax"]
    right = [
        softmax[ids == one].astype(np.float64).mean(axis=0).argmax() == labels[ids == one][0]
        for one in dict.fromkeys(ids.tolist())
    ]
    found = json.loads((result.folder / "dense.json").read_text())["figures"]
    fused = json.loads((result.folder / "fused.json").read_text())["fused"]
    assert found["video@1"] == fused["video@1"] == np.mean(right) and len(right) == LABELS
    assert found["clip@1"] == np.mean(softmax.argmax(axis=1) == labels)


# Looking


def clips_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the clips are equal on both engines"""
    found, wanted = (dict(np.load(laboratory.result(row, c).folder / "clips.npz")) for c in (cell, ON_PYTORCH))
    assert found["data"].std() > 0.01
    same_to_the_bit(found, wanted)


def flow_agrees(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the flow agrees between engines within the tolerance of the goldens; each has its own build of OpenCV"""
    found, wanted = (dict(np.load(laboratory.result(row, c).folder / "clips.npz")) for c in (cell, ON_PYTORCH))
    difference = np.abs(found.pop("flow") - wanted.pop("flow"))
    assert difference.mean() <= FLOW_MEAN and (difference <= FLOW_VALUE).mean() >= FLOW_SHARE
    same_to_the_bit(found, wanted)


def sound_agrees(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """the log-mels agree between engines to 1e-3; the clips are equal"""
    found, wanted = (dict(np.load(laboratory.result(row, c).folder / "clips.npz")) for c in (cell, ON_PYTORCH))
    maps = found.pop("logmels")
    assert np.abs(maps - wanted.pop("logmels")).max() <= 1e-3 and maps.std() > 1
    same_to_the_bit(found, wanted)


def all_blobs_agree(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """every blob of the network agrees between engines to 1e-4 of its largest value"""
    result = laboratory.result(row, cell)
    assert "equal: all" in result.output
    blobs = json.loads((result.folder / "blobs.json").read_text())["blobs"]
    assert len(blobs) > 30 and max(blob["relative"] for blob in blobs) <= 1e-4


def converts(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """test_net gives the same scores for the .pkl and for the .mdl of the engine's training, to the bit"""
    result = laboratory.result(row, cell)
    same_to_the_bit(scores(result), scores(result, "whole.npz"))
    state, weights = load_mdl(result.folder / "run_1.mdl"), load_pickle(result.folder / "converted.pkl")
    assert {name for name in state if name not in weights} >= {"optimizer_iteration", f"last_out_L{LABELS}_w_momentum"}


def lists_the_parameters(laboratory: Laboratory, row: Row, cell: Cell) -> None:
    """print_net lists the parameters, with their shapes, that the engine's training saves"""
    result = laboratory.result(row, cell)
    listed = json.loads(result.output)
    shapes = {
        blob.rpartition("/")[2]: tuple(shape) for kind in ("params", "computed_params") for blob, shape in listed[kind]
    }
    weights = load_pickle(result.folder / "run_1.pkl")
    assert shapes == {name: array.shape for name, array in weights.items()}


# Those that run PyTorch for Caffe2's sake: the cell of PyTorch itself then costs nothing more.
BETWEEN_ENGINES = (
    fine_tunes, fine_tunes_on_flow, has_a_new_head, keeps_the_trunk, scores_agree, slices_agree, features_agree,
    formats_agree, clips_agree, flow_agrees, equals_the_lmdb,
)  # fmt: skip
