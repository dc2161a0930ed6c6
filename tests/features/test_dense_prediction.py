"""Dense prediction against the same means taken clip by clip, on files of every kind."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.features.formats.test_feature_files import python2_pickle
from vmz.errors import UsageError, VmzError
from vmz.features.dense_prediction import (
    aggregate_each,
    aggregate_files,
    feature_files,
    figures_text,
    fuse,
    original_figures,
    split_videos,
)
from vmz.features.formats.feature_files import format_of, save_features
from vmz.features.formats.table import ArrayTable


def clips(seed: int = 0, count: int = 40, videos: int = 6, classes: int = 7) -> dict[str, np.ndarray]:
    random = np.random.RandomState(seed)
    video = np.random.RandomState(1).randint(0, videos, count)  # the same in both streams
    scores = random.rand(count, classes).astype(np.float32)
    return {"softmax": scores, "label": (video % classes).astype(np.int32), "video_id": video.astype(np.int64) + 500}


def write(folder: Path, arrays: dict[str, np.ndarray], *endings: str) -> Path:
    """The clips cut into files, one for each ending."""
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(arrays["label"])), len(endings))):
        part = {name: array[rows] for name, array in arrays.items()}
        path = folder / f"features_{number}{endings[number]}"
        if endings[number] == ".pickle":  # as the original's script in a Python of today
            path.write_bytes(pickle.dumps(part, protocol=2))
        else:
            save_features(path, ArrayTable(part), format_of(path))
    return folder


def by_hand(arrays: dict[str, np.ndarray], most: int = 0) -> dict[int, np.ndarray]:
    found: dict[int, list[np.ndarray]] = {}
    for score, video in zip(arrays["softmax"], arrays["video_id"].tolist()):
        if not most or len(found.get(video, [])) < most:
            found.setdefault(video, []).append(score.astype(np.float64))
    return {video: np.mean(scores, axis=0) for video, scores in found.items()}


@pytest.mark.parametrize("most", [0, 2])
def test_the_mean_over_a_videos_clips_in_all_files(most: int, tmp_path: Path) -> None:
    arrays = clips()
    folder = write(tmp_path / "a", arrays, ".npz", ".pkl", ".pickle")
    found = aggregate_files(feature_files(folder, "input_dir"), most)
    wanted = by_hand(arrays, most)
    assert found.ids.tolist() == list(wanted)
    np.testing.assert_allclose(found.scores, np.stack(list(wanted.values())), atol=1e-7)
    assert found.clips.sum() == (40 if not most else 2 * len(wanted))
    ranked = np.argsort(-found.scores, axis=1)
    figures = found.figures()
    assert figures["video@1"] == np.mean(ranked[:, 0] == found.labels)
    assert figures["video@5"] == np.mean((ranked[:, :5] == found.labels[:, None]).any(axis=1))
    few = dataclasses.replace(found, scores=found.scores[:, :3], labels=found.labels % 3).figures()
    assert list(few) == ["clip@1", "video@1", "video@3"]
    assert figures_text(few, 3).endswith(", video@3: 1.0 (always: the network has 3 classes)")
    assert "always" not in figures_text(figures, 7)
    if not most:
        assert figures["clip@1"] == np.mean(arrays["softmax"].argmax(axis=1) == arrays["label"])


def of_the_original(parts: list[dict[str, np.ndarray]], most: int) -> list[float]:
    """clip@1, video@1 and video@5 as the original adds them up, file by file and clip by clip."""
    total = np.zeros(4)
    for part in parts:
        sums: dict[int, np.ndarray] = {}
        taken: dict[int, int] = {}
        labels = dict(zip(part["video_id"].tolist(), part["label"].tolist()))
        right = 0
        for score, video, label in zip(part["softmax"], part["video_id"].tolist(), part["label"].tolist()):
            right += int(score.argmax()) == label
            if not most or taken.get(video, 0) < most:
                taken[video] = taken.get(video, 0) + 1
                sums[video] = sums.get(video, np.zeros(7)) + score.astype(np.float64)
        ranks = [int((scores > scores[labels[video]]).sum()) for video, scores in sums.items()]
        clip = right / len(part["label"])
        total += [len(sums) * clip, sum(rank < 1 for rank in ranks), sum(rank < 5 for rank in ranks), len(sums)]
    return list(total[:3] / total[3])


@pytest.mark.parametrize("most", [0, 2])
def test_as_the_original_by_file(most: int, tmp_path: Path) -> None:
    """Files of other numbers of clips and videos; the first and the last share videos, which count in both."""
    one, two = clips(0, count=10, videos=6), clips(1, count=30, videos=3)
    three = clips(2, count=4, videos=2)
    for number, part in enumerate((one, two, three)):
        save_features(tmp_path / f"f_{number}.pkl", ArrayTable(part), "pickle")
    files = aggregate_each(feature_files(tmp_path, "input_dir"), most)
    figures = original_figures(files)
    assert list(figures.values()) == pytest.approx(of_the_original([one, two, three], most))
    assert split_videos(files) == sorted(set(one["video_id"].tolist()) & {500, 501, 502})
    together = aggregate_files(feature_files(tmp_path, "input_dir"), most)
    assert (sum(part.seen_clips for part in files), together.seen_clips) == (44, together.clips.sum())
    taken: dict[int, list[bool]] = {}  # here --max_clip bounds the figure of clips too
    for part in (one, two, three):
        for score, video, label in zip(part["softmax"], part["video_id"].tolist(), part["label"].tolist()):
            if not most or len(taken.get(video, [])) < most:
                taken.setdefault(video, []).append(int(score.argmax()) == label)
    assert together.figures()["clip@1"] == np.mean([right for each in taken.values() for right in each])
    save_features(tmp_path / "f_3.pkl", ArrayTable(clips(classes=8)), "pickle")
    with pytest.raises(VmzError, match=r"f_3\.pkl has 8 classes, but the files before it 7"):
        aggregate_each(feature_files(tmp_path, "input_dir"))


def test_two_streams(tmp_path: Path) -> None:
    one = aggregate_files(feature_files(write(tmp_path / "a", clips(0), ".npz", ".npz"), "input_dir1", 2))
    reverse = {name: array[::-1] for name, array in clips(5).items()}
    two = aggregate_files(feature_files(write(tmp_path / "b", reverse, ".pkl"), "input_dir2"))
    assert one.ids.tolist() != two.ids.tolist()
    first, second = by_hand(clips(0)), by_hand(clips(5))
    wanted = np.stack([0.6 * first[video] + 0.4 * second[video] for video in one.ids.tolist()])
    np.testing.assert_allclose(fuse(one, two, 0.6, means=True), wanted, atol=1e-7)
    np.testing.assert_allclose(fuse(one, two, 0.6), wanted * one.clips[:, None], atol=1e-6)
    more = dataclasses.replace(two, clips=3 * two.clips)  # of sums, the stream with more clips weighs more
    np.testing.assert_allclose(fuse(one, more, 0.6), 0.6 * fuse(one, one, 1) + 0.4 * 3 * fuse(one, two, 0), atol=1e-6)
    np.testing.assert_array_equal(fuse(one, two, 1, means=True), one.scores)
    with pytest.raises(UsageError, match="from 0 to 1"):
        fuse(one, two, 1.5)


def test_a_file_of_2018(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(python2_pickle().replace(b"\x03\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01"))
    found = aggregate_files([tmp_path / "a.pkl"])
    assert found.ids.tolist() == [7, 8] and found.labels.tolist() == [1, 1] and found.figures()["video@1"] == 0


def test_scores_with_axes_of_1_and_without_are_alike(tmp_path: Path) -> None:
    """As extract_features writes them with --keep_axes=1 and 0; a .npy has no labels, and says so."""
    arrays = clips()
    maps = {**arrays, "softmax": arrays["softmax"].reshape(40, 7, 1, 1, 1), "label": arrays["label"].reshape(40, 1)}
    one = aggregate_files(feature_files(write(tmp_path / "a", arrays, ".npz"), "input_dir"))
    two = aggregate_files(feature_files(write(tmp_path / "b", maps, ".npz"), "input_dir"))
    assert np.array_equal(one.scores, two.scores) and one.figures() == two.figures()
    np.save(tmp_path / "a" / "softmax.npy", arrays["softmax"])
    with pytest.raises(VmzError, match=r"softmax\.npy has no softmax and no label and no video_id, but features"):
        aggregate_files(feature_files(tmp_path / "a", "input_dir"))


def test_files_come_by_number_and_unfinished_ones_are_refused(tmp_path: Path) -> None:
    for name in ("f10.pkl", "f9.pkl", "f1.npz", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in feature_files(tmp_path, "input_dir")] == ["f1.npz", "f9.pkl", "f10.pkl"]
    (tmp_path / "f11.pkl.parts").mkdir()
    with pytest.raises(UsageError, match=r"f11[.]pkl[.]parts, an unfinished extraction"):
        feature_files(tmp_path, "input_dir")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_id": None}, "no video_id, but softmax, label"),
        ({"label": np.full(40, 9)}, "labels from 9 to 9, but 7 classes"),
        ({"label": np.arange(40) % 7}, "but it had"),
        ({"label": np.zeros(39, int)}, "do not fit together"),
        ({"label": np.zeros((40, 7), int)}, "one label a clip"),
        ({"softmax": np.full((40, 7), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    arrays = {name: array for name, array in {**clips(), **change}.items() if array is not None}
    save_features(tmp_path / "a.npz", ArrayTable(arrays), "npz")
    with pytest.raises(VmzError, match=message):
        aggregate_files([tmp_path / "a.npz"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_id": clips()["video_id"] + 1}, "missing in the second stream, for example 500"),
        ({"label": (clips()["label"] + 1) % 7}, "label of video"),
        ({"softmax": np.zeros((40, 8), np.float32)}, "numbers of classes"),
    ],
)
def test_streams_that_do_not_fit(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    one = aggregate_files(feature_files(write(tmp_path / "a", clips(), ".npz"), "input_dir1"))
    two = aggregate_files(feature_files(write(tmp_path / "b", {**clips(), **change}, ".npz"), "input_dir2"))
    with pytest.raises(VmzError, match=message):
        fuse(one, two, 0.5)


@pytest.mark.parametrize(("folder", "count"), [(None, None), ("nowhere", None), ("empty", None), ("one", 10)])
def test_wrong_folders(folder: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "one", clips(), ".npz")
    with pytest.raises(UsageError, match="--input_dir"):
        feature_files(folder and tmp_path / folder, "input_dir", count)
