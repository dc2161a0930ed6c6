"""The same videos and the same reader in a loop of one's own: a torch Dataset of a list, a folder or an LMDB."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import torch
from torch.utils.data import Dataset

from vmz.datasets.class_folders import read_videos
from vmz.datasets.create_database import DatabaseOptions, records_of
from vmz.datasets.listed_data import is_listed
from vmz.datasets.transform import Transform
from vmz.datasets.video_lists import check_files
from vmz.errors import UsageError, VmzError
from vmz.text import counted
from vmz.video.arguments import RANDOM, SHORT_EDGE, VideoInputArgs
from vmz.video.clips import ClipError
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import Record, key_text
from vmz.video.faults import record_name, shown_path
from vmz.video.frames.decoding import DecodingError
from vmz.video.loading import load_video
from vmz.video.reader import check_holds
from vmz.video.views import drawn_clips, read_views

Frames = Callable[[np.ndarray], Any]


class VideoDataset(Dataset):  # type: ignore[type-arg]
    """(clips, label) of each video, in the order in which the tools read the same data.

    Args:
        data: a list of videos (.csv), a folder of class folders, or an LMDB created by create_video_db.py.
        transform: what makes clips of a video. `model.transform` or `weights(...).transforms()`: the clips of the
            tools' reader, to the bit: float32 (C, T, H, W) where a video has one, else (clips x crops, C, T, H, W).
            Any other function gets the frames, uint8 (T, H, W, 3). By default those frames, as a tensor.
        train: one random clip of each video, cropped and mirrored at random, as train_net draws it; needs the transform
            of a model or of weights. `set_epoch` draws others.
        seed: of what is drawn, more than 0.
        jitter_scales: with `train`, short edges to draw from, such as (128, 160).
        classes: names of the labels in their order, such as the `classes` of the training data for the test data. By
            default those that the data names, in alphabetical order.
        use_local_file: the LMDB holds paths.

    A label is an integer, and of a network of several labels a video float32 (classes,) of 0 and 1. Works with several
    workers, forked or spawned. Raises UsageError for data that is not as it must be or is missing; an item raises
    VmzError, naming the record, for a video that gives no clips.

    >>> data = VideoDataset("videos", classes=["archery", "bowling"])  # doctest: +SKIP
    >>> clips, label = data[0]  # doctest: +SKIP
    """

    def __init__(
        self,
        data: Union[str, Path],
        transform: Optional[Union[Transform, Frames]] = None,
        *,
        train: bool = False,
        seed: int = 1,
        jitter_scales: Sequence[int] = (),
        classes: Sequence[str] = (),
        use_local_file: bool = False,
    ) -> None:
        self.data = str(data)
        self.transform = transform
        self.epoch = 0
        self.classes: tuple[str, ...] = tuple(classes)
        self._seed = seed
        self._opened: Optional[tuple[int, VideoDatabase]] = None  # by the process of this number
        self._records: Optional[list[tuple[Record, Optional[int]]]] = None  # of a list, with their lines
        self._by_path = use_local_file or is_listed(self.data)
        settings = transform.settings if isinstance(transform, Transform) else None
        self._arguments = None if settings is None else settings.reader_args()
        if train:
            self._arguments = self._drawn(jitter_scales)
        self._train = train
        images = self._arguments is not None and bool(self._arguments.image_as_input)
        if is_listed(self.data):
            self._read_list(images)
        else:
            check_holds(self._database(), self._by_path)
        self._several = len(self.classes) or settings.num_labels if settings is not None and settings.multi_label else 0

    def _drawn(self, jitter_scales: Sequence[int]) -> VideoInputArgs:
        if self._arguments is None:
            raise UsageError("train=True draws clips for a network; give transform=model.transform")
        if self._seed < 1:
            raise UsageError(f"seed is {self._seed}, but train=True needs one of at least 1")
        args = replace(
            self._arguments, decode_type=RANDOM, random_crop=1, random_mirror=1, clip_per_video=1, crop_per_clip=1,
            jitter_scales=tuple(jitter_scales),
        )  # fmt: skip
        if jitter_scales and args.video_res_type != SHORT_EDGE:
            raise UsageError(
                f"jitter_scales={list(jitter_scales)} are short edges, but video_res_type={args.video_res_type} does "
                "not resize those; give a transform with video_res_type=1"
            )
        args.check()
        return args

    def _read_list(self, images: bool) -> None:
        videos = read_videos(self.data, images=images, classes=self.classes, classes_from="classes")
        check_files(videos)
        self.classes = videos.classes
        found = [(record, row.line) for row, record in records_of(videos.rows, DatabaseOptions(use_list=True))]
        self._records = sorted(found, key=lambda one: one[0].key)  # as the LMDB of them has them

    def _database(self) -> VideoDatabase:
        """Opened anew in each process."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), VideoDatabase(self.data))
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def __len__(self) -> int:
        return len(self._records) if self._records is not None else len(self._database())

    def set_epoch(self, epoch: int) -> None:
        """Draw the clips of another epoch from now on; before the DataLoader's workers start."""
        self.epoch = epoch

    def describe(self, index: int) -> str:
        """A record as messages name it."""
        if self._records is None:
            record = self._database()[index]
            return self._database().describe(key_text(record.key), record.path if self._by_path else None)
        record, line = self._records[index]
        return record_name(key_text(record.key), self.data, shown_path(record.path), line, self.data)

    def _record(self, index: int) -> Record:
        return self._database()[index] if self._records is None else self._records[index][0]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(clips, label) of the record number `index`. Raises VmzError for a video that cannot be read."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"record {index} of {self.data}, which has {len(self)}")
        index %= len(self)
        record = self._record(index)
        video = record.path if self._by_path else record.video
        try:
            return self._clips(video, index), self._label(record)
        except VmzError as error:
            reason = error.__cause__ if isinstance(error.__cause__, (ClipError, DecodingError)) else error
            raise VmzError(f"{self.describe(index)}: {reason}") from error

    def _clips(self, video: Union[str, bytes], index: int) -> Any:
        if self._arguments is None:
            frames = load_video(video)
            return torch.from_numpy(frames) if self.transform is None else self.transform(frames)
        assert isinstance(self.transform, Transform)
        if self._train:
            random = np.random.default_rng((self._seed, self.epoch, index))
            found = drawn_clips(video, self._arguments, random)
        else:
            found = read_views(video, self._arguments, self.transform.views).clips
        clips = torch.from_numpy(found)
        return clips[0] if len(clips) == 1 else clips

    def _label(self, record: Record) -> Any:
        if not self._several:
            return record.labels[0]
        wrong = [label for label in record.labels if not 0 <= label < self._several]
        if wrong:
            raise ClipError(f"it has label {wrong[0]}, but there are {counted(self._several, 'class')}")
        label = torch.zeros(self._several)
        label[list(record.labels)] = 1
        return label
