from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from tests.support.listed_videos import CLASSES, SameVideos, same_videos
from tests.support.optionals import present
from tests.support.small_videos import BAD
from vmz.datasets import VideoDataset
from vmz.datasets.transform import Transform
from vmz.errors import UsageError, VmzError
from vmz.settings.model import ModelSettings
from vmz.video.arguments import VideoInputArgs
from vmz.video.loading import load_video
from vmz.video.reader import ClipReader

SETTINGS = ModelSettings(
    model_name="r2d", model_depth=10, clip_length_rgb=4, scale_h=32, scale_w=40, crop_size=32, num_labels=3,
    clip_per_video=2, video_res_type=1,
)  # fmt: skip
ONE = Transform(SETTINGS)
ALL = Transform(SETTINGS, "published")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> SameVideos:
    return same_videos(tmp_path_factory.mktemp("same"))


def as_the_tools_read(videos: SameVideos, **changes: Any) -> tuple[np.ndarray, list[int]]:
    args = {**SETTINGS.reader_arguments(), "batch_size": 6, **changes}
    with ClipReader(videos.lmdb, VideoInputArgs.from_mapping(args)) as reader:
        batch = reader.next_batch()
    assert batch.data is not None
    return batch.data, batch.label.tolist()


def each_form(videos: SameVideos, transform: Any, **options: Any) -> list[VideoDataset]:
    return [
        VideoDataset(videos.list, transform, **options),
        VideoDataset(str(videos.folder), transform, **options),
        VideoDataset(videos.lmdb, transform, **options),
        VideoDataset(videos.by_path, transform, use_local_file=True, **options),
    ]


def test_clips_are_the_readers_to_the_bit_from_each_form(videos: SameVideos) -> None:
    wanted, labels = as_the_tools_read(videos)
    for data in each_form(videos, ALL):
        assert len(data) == 6 and data.classes in ((), CLASSES)
        clips, found = zip(*(data[index] for index in range(6)))
        assert np.array_equal(torch.cat(clips).numpy(), wanted) and clips[0].shape == (2, 3, 4, 32, 32)
        assert list(found) == labels[::2]
        assert data[-1][1] == found[5] and data.describe(3).startswith(f"record 3 of {data.data} ({videos.folder}/")
        with pytest.raises(IndexError):
            data[6]


def test_training_clips_are_those_of_train_net(videos: SameVideos) -> None:
    """Of an epoch, a pass over the data."""
    draws = {
        "clip_per_video": 1, "crop_per_clip": 1, "decode_type": 0, "random_crop": 1, "random_mirror": 1, "seed": 7,
        "jitter_scales": [32, 40],
    }  # fmt: skip
    args = {**SETTINGS.reader_arguments(), "batch_size": 6, **draws}
    with ClipReader(videos.lmdb, VideoInputArgs.from_mapping(args)) as reader:
        passes = [present(reader.next_batch().data) for _ in range(2)]
    for data in each_form(videos, ONE, train=True, seed=7, jitter_scales=(32, 40)):
        for epoch in (0, 1):
            data.set_epoch(epoch)
            assert np.array_equal(np.stack([data[index][0].numpy() for index in range(6)]), passes[epoch])
    assert not np.array_equal(passes[0], passes[1])


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
def test_workers_read_the_same(videos: SameVideos, context: str) -> None:
    wanted, labels = as_the_tools_read(videos, clip_per_video=1)
    for data in each_form(videos, ONE) if context == "fork" else [VideoDataset(videos.lmdb, ONE)]:
        assert data[0][1] == labels[0]  # the LMDB is open here, too
        batches = list(DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context=context))
        assert np.array_equal(torch.cat([clips for clips, _ in batches]).numpy(), wanted)
        assert torch.cat([label for _, label in batches]).tolist() == labels
        assert pickle.loads(pickle.dumps(data))[1][1] == labels[1]


def test_frames_without_a_transform_and_through_ones_own(videos: SameVideos) -> None:
    plain, own = VideoDataset(videos.folder), VideoDataset(videos.folder, lambda frames: frames.mean())
    frames, label = plain[2]
    assert frames.dtype == torch.uint8 and frames.shape == (9, 48, 64, 3) and label == as_the_tools_read(videos)[1][4]
    path = plain.describe(2).partition("(")[2].rstrip(")")
    assert np.array_equal(frames.numpy(), load_video(path)) and own[2] == (frames.numpy().mean(), label)


def test_several_labels_a_video_are_zeros_and_ones(videos: SameVideos, tmp_path: Path) -> None:
    path = next(videos.folder.glob("run/*"))
    (tmp_path / "list.csv").write_text(f'org_video,label\n"{path}",run;bowling\n"{path}",yoga\n')
    several = Transform(ModelSettings(**{**SETTINGS.flags(), "multi_label": 1}))
    data = VideoDataset(tmp_path / "list.csv", several)
    assert sorted(label.tolist() for _, label in (data[0], data[1])) == [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    with pytest.raises(UsageError, match=r"line 2 of .*list.csv has the class 'run', not one of the 2 of classes"):
        VideoDataset(tmp_path / "list.csv", several, classes=("yoga", "bowling"))


def test_what_cannot_be_is_one_sentence(videos: SameVideos, tmp_path: Path) -> None:
    (tmp_path / "data" / "run").mkdir(parents=True)
    (tmp_path / "data" / "run" / "bad.mp4").write_bytes(BAD)
    says = rf"record 0 of {tmp_path}/data \({tmp_path}/data/run/bad.mp4\): not a video that can be opened"
    for transform in (ONE, None):
        with pytest.raises(VmzError, match=says):
            VideoDataset(tmp_path / "data", transform)[0]
    with pytest.raises(VmzError, match=r"record 0 .*: 9 frames, but 99 are needed for --clip_length_rgb=99"):
        VideoDataset(videos.list, Transform(ModelSettings(**{**SETTINGS.flags(), "clip_length_rgb": 99})))[0]
    for options, why in (
        ({}, "give transform=model.transform"),
        ({"transform": ONE, "seed": 0}, "needs one of at least 1"),
        ({"transform": ONE, "jitter_scales": (16,)}, "must be no smaller than crop_size=32"),
    ):
        with pytest.raises(UsageError, match=why):
            VideoDataset(videos.list, train=True, **options)  # type: ignore[arg-type]
    for data, why in ((videos.by_path, "give --use_local_file=1"), (tmp_path / "none.csv", "no such database")):
        with pytest.raises(UsageError, match=why):
            VideoDataset(data, ONE)
    (tmp_path / "list.csv").write_text("none.mp4,1\n")
    with pytest.raises(UsageError, match=r"1 of the 1 video of .* cannot be found"):
        VideoDataset(tmp_path / "list.csv")
