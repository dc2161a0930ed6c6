"""What an extraction is: its network, data, blobs and outputs in one checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from vmz.errors import UsageError
from vmz.evaluation.config import TestSettings
from vmz.features.formats.feature_files import HDF5, NPY, NPZ, PICKLE
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.clips import ClipSettings
from vmz.settings.engine import EngineSettings
from vmz.settings.kinds import Integer, Number, switch
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ViewSettings
from vmz.settings.resolution import FEATURES, ProtocolSettings, Use
from vmz.settings.setting import Settings, changed, setting


@dataclass(frozen=True)
class OriginalExtractSettings(Settings):
    """The settings of the original's extract_features, with its defaults."""

    features: str = setting("final_avg", "blobs to extract, as final_avg,softmax,label,video_id,start_frame", str)
    output_path: Optional[str] = setting(
        None,
        "file to write: .npz, .npy (one blob), .h5 or .hdf5, else the original's pickle (a folder with --videos)",
        str,
    )
    save_h5: int = setting(0, "1: HDF5, whatever the ending of --output_path", switch)
    num_iterations: int = setting(
        -1, "stop after so many batches; -1: the whole database, the short last batch too", Integer(-1)
    )
    decode_type: int = setting(
        2, "0: one clip, drawn by --seed; 1: clips evenly spaced; 2: one from the record's start frame", int, (0, 1, 2)
    )
    get_video_id: int = setting(0, "the records hold video ids: a blob video_id", switch)
    get_start_frame: int = setting(0, "the records hold start frames: a blob start_frame", switch)
    sanity_check: int = setting(
        0,
        "1: print the clips' accuracy, with softmax and label among --features; 2: with --multi_label=1, prob "
        "and label, their AUC, mAP and mWAP",
        int,
        (0, 1, 2),
    )
    display_iter: int = changed(TestSettings, "display_iter", 10)


@dataclass(frozen=True)
class AddedExtractSettings(Settings):
    """What the original's extract_features lacks."""

    videos: Optional[tuple[str, ...]] = setting(
        None,
        "untrimmed videos instead of --test_data: files, folders, patterns ('folder/*.mp4') or lists (.csv, .txt); RGB "
        "clips only",
        several=True,
    )
    stride_seconds: float = setting(1.0, "from one clip of such a video to the next", Number(most=1e6))
    video_format: str = setting(
        NPZ,
        "of the files with --videos; npy: one blob, the times beside it in an .npz",
        choices=(NPZ, NPY, PICKLE, HDF5),
    )
    keep_axes: Optional[int] = setting(
        None,
        "1: features keep axes of 1, as final_avg of clips x C x 1 x 1 x 1; 0: they are left out, clips x C. Not "
        "given: 0 with --videos, 1 for a database (the original's shapes)",
        switch,
    )
    resume: int = setting(
        1,
        "1: go on with what an earlier run of the same settings left, and refuse to replace features of other "
        "settings; 0: extract all anew, in place of what is there",
        switch,
    )
    random_weights: int = setting(0, "1: an untrained network, no file needed", switch)


@dataclass(frozen=True)
class ExtractionConfig(
    ClipSettings, EngineSettings, OriginalExtractSettings, CheckpointSettings, AddedExtractSettings, ProtocolSettings
):
    """The settings of extract_features, by the names of its flags.

    >>> ExtractionConfig(features="final_avg,label").clip_length_rgb
    4
    """

    @property
    def output(self) -> str:
        """The file or folder to write. Raises UsageError where none is given."""
        if not self.output_path:
            raise UsageError("--output_path is not given; name the file to write: .npz, .npy, .h5 or .pkl")
        return self.output_path

    @classmethod
    def use(cls, flags: Mapping[str, Any]) -> Use:
        return FEATURES

    clip_length_rgb: int = changed(NetworkSettings, "clip_length_rgb", 4)
    clip_per_video: int = changed(ViewSettings, "clip_per_video", 1)
    batch_size: int = changed(ViewSettings, "batch_size", 32)
