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
from vmz.settings.inference import InferenceSettings
from vmz.settings.kinds import Integer, Number, switch
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ViewSettings
from vmz.settings.resolution import FEATURES, ProtocolSettings, Use
from vmz.settings.setting import Settings, changed, setting


@dataclass(frozen=True)
class OriginalExtractSettings(Settings):
    """The settings of the original's extract_features, with its defaults."""

    features: str = setting(
        "final_avg", "blobs to extract, such as final_avg,softmax,label,video_id,start_frame", str, metavar="BLOB,BLOB"
    )
    output_path: Optional[str] = setting(
        None,
        "file to write: .npz, .npy (one blob), .h5 or .hdf5, else the original's pickle; a folder with --videos",
        str,
        metavar="FILE",
    )
    save_h5: int = setting(0, "1: write HDF5, whatever the extension of --output_path", switch)
    num_iterations: int = setting(
        -1, "stop after this number of batches; -1: the whole database, including the short last batch", Integer(-1)
    )
    decode_type: int = setting(
        2,
        "0: one random clip, drawn with --seed; 1: evenly spaced clips; 2: one clip from the record's start frame",
        int,
        (0, 1, 2),
    )
    get_video_id: int = setting(0, "1: the records have video ids; they become the blob video_id", switch)
    get_start_frame: int = setting(0, "1: the records have start frames; they become the blob start_frame", switch)
    sanity_check: int = setting(
        0,
        "1: print the accuracy of the clips (needs softmax and label in --features); 2: with --multi_label=1, "
        "print AUC, mAP and mWAP (needs prob and label)",
        int,
        (0, 1, 2),
    )
    display_iter: int = changed(TestSettings, "display_iter", 10)


@dataclass(frozen=True)
class AddedExtractSettings(Settings):
    """What the original's extract_features lacks."""

    videos: Optional[tuple[str, ...]] = setting(
        None,
        "untrimmed videos instead of --test_data: files, folders, patterns ('folder/*.mp4') or lists (.csv, "
        ".txt); RGB clips only",
        several=True,
        metavar="NAME",
    )
    stride_seconds: float = setting(
        1.0, "seconds from the start of one clip of an untrimmed video to the start of the next", Number(most=1e6)
    )
    video_format: str = setting(
        NPZ,
        "file format of the features of untrimmed videos; npy: one blob, with the times in an .npz beside it",
        choices=(NPZ, NPY, PICKLE, HDF5),
    )
    keep_axes: Optional[int] = setting(
        None,
        "1: keep axes of size 1, as in final_avg of clips x C x 1 x 1 x 1; 0: drop them, clips x C. By default 0 "
        "with --videos, else 1 (the original's shapes)",
        switch,
    )
    resume: int = setting(
        1,
        "1: continue an earlier run of the same settings, and refuse to replace features of other settings; 0: "
        "extract everything again",
        switch,
    )
    random_weights: int = setting(0, "1: use an untrained network, without a file of weights", switch)


@dataclass(frozen=True)
class ExtractionConfig(
    ClipSettings, InferenceSettings, OriginalExtractSettings, CheckpointSettings, AddedExtractSettings, ProtocolSettings
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
