"""What a training is: its network, data, schedule and outputs in one checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from vmz.checkpoints.loading import file_type
from vmz.engines.schedule import POLICIES
from vmz.engines.trainer import PRECISIONS
from vmz.errors import UsageError
from vmz.evaluation.config import ReportSettings
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.engine import EngineSettings
from vmz.settings.epoch_test import EpochTestSettings
from vmz.settings.kinds import Integer, Number, epochs, not_negative, positive, switch
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings
from vmz.settings.resolution import TRAINING, Use, ZooSettings
from vmz.settings.setting import Settings, changed, setting
from vmz.video.arguments import MOST as READER_MOST


@dataclass(frozen=True)
class OriginalTrainSettings(Settings):
    """The settings of the original's train_net, with its defaults."""

    train_data: Optional[str] = setting(None, "LMDB of training videos, as create_video_db.py makes it", str)
    batch_size: int = setting(
        32,
        "clips a batch *of each device*; 8 devices see 8 times as many an iteration",
        Integer(1, READER_MOST["batch_size"]),
    )
    epoch_size: int = setting(
        110000,
        "clips that make an epoch (rounded down to whole iterations), however many the LMDB holds; 0: one pass "
        "over the LMDB, the default with --zoo",
        not_negative,
    )
    num_epochs: int = setting(50, "epochs in all, those before a resumed checkpoint included", Integer(1, 1 << 20))
    base_learning_rate: float = setting(
        0.003, "learning rate of one device; the rate used is this times the devices", Number(0, 1e6)
    )
    step_epoch: int = setting(10, "epochs between two steps of the learning rate", Integer(1, 1 << 20))
    gamma: float = setting(0.1, "factor of each step of the learning rate", Number(0, 1000))
    weight_decay: float = setting(
        0.005, "L2 decay of weights (_w) and batch-norm scales (_s); biases (_b) never decay", Number(0, 1000)
    )
    jitter_scales: Optional[str] = setting(
        None,
        "short edges to draw from for each video, as 128,160 (with --video_res_type=1); not given: min(scale_h, "
        "scale_w) and 1.25 times it",
        str,
    )
    cudnn_workspace_limit_mb: int = setting(64, "cuDNN's scratch memory (Caffe2 on a GPU)", Integer(1, 1 << 20))
    file_store_path: str = setting("/tmp", "folder of the checkpoints", str)
    save_model_name: str = setting(
        "simple_c3d", "checkpoints: <file_store_path>/<save_model_name>_<epoch>.mdl, .pkl", str
    )
    is_checkpoint: int = setting(
        1,
        "1: --load_model_path is a checkpoint of this training, which goes on where it was; 0: it only "
        "initialises the network, whose classifier may be new (fine-tuning). A .pkl always only initialises",
        switch,
    )
    get_video_id: int = setting(
        0, "the reader also gives the videos' ids (in the net, of no effect on training)", switch
    )
    display_iter: int = setting(10, "iterations between two progress lines in a log (a terminal gets a bar)", positive)
    profiling: int = setting(0, "print what each iteration spends in reading and in the net", switch)
    audio_input_3d: int = setting(0, "audio is not here yet", int, (0,))
    g_blend: int = setting(0, "gradient blending needs audio, which is not here yet", int, (0,))
    audio_weight: float = setting(0.0, "weight of the audio loss in gradient blending", Number())
    visual_weight: float = setting(0.0, "weight of the visual loss in gradient blending", Number())
    av_weight: float = setting(1.0, "weight of the joint loss in gradient blending", Number())


@dataclass(frozen=True)
class AddedTrainSettings(Settings):
    """What the original's train_net lacks. All of it is opt-in."""

    resume: int = setting(0, "1: go on from the newest checkpoint of this name, or start where there is none", switch)
    checkpoint_minutes: float = setting(
        0.0, "also write <save_model_name>_latest.mdl every so many minutes; 0: never", Number(0, 1e6)
    )
    shuffle: int = setting(0, "1: each pass over the LMDB in an order of its own; 0: in the order of its keys", switch)
    random_mirror: int = setting(1, "0: clips are not mirrored, for classes such as left and right", switch)
    use_full_ft: int = setting(1, "0: train the classifier only, on top of a frozen trunk", switch)
    freeze_bn: int = setting(
        0, "1: batch norm by its running statistics, which stay as they are (--engine=pytorch only)", switch
    )
    precise_bn: int = setting(
        0,
        "recompute the running statistics over so many batches before each evaluation (--engine=pytorch only)",
        not_negative,
    )
    schedule: str = setting("step", "of the learning rate: steps, or half a cosine down to 0", str, POLICIES)
    warmup_epochs: float = setting(
        0.0, "epochs of linear rise of the learning rate, part of --num_epochs", Number(0, 1e6)
    )
    gradual_warmup: int = setting(
        0, "1: that rise starts at the rate of one device, --base_learning_rate; 0: at next to nothing", switch
    )
    decay_after_warmup: int = setting(
        0, "1: steps and cosine count from the end of the warm-up; 0: from the first iteration", switch
    )
    lr_milestones: Optional[str] = setting(
        None,
        "epochs after which the rate falls by --gamma, as 10,20,30, counted from the end of the warm-up; in "
        "place of --step_epoch",
        epochs,
    )
    accumulation_steps: int = setting(
        1,
        "batches of each device that make one iteration; they count as so many times the devices "
        "(--engine=pytorch only)",
        Integer(1, 1 << 20),
    )
    precision: str = setting(
        "fp32",
        "of the forward and backward pass; parameters are float32. bf16 and fp16: --engine=pytorch only",
        str,
        PRECISIONS,
    )
    clip_gradient: float = setting(
        0.0, "largest L2 norm of the whole gradient; 0: any (--engine=pytorch only)", Number(0)
    )
    deterministic: int = setting(
        0, "1: only kernels that give the same result each time (on a GPU: slower, and --engine=pytorch only)", switch
    )
    channels_last: int = setting(
        0, "1: clips and weights lie channels last in memory, which is mostly faster (--engine=pytorch only)", switch
    )
    early_stop: int = setting(
        0,
        "stop when the evaluation was no better for so many epochs: neither video@1 nor, at the same video@1, "
        "clip@1 rose (with --multi_label=1 mAP, then mAUC); 0: never",
        Integer(0, 1 << 20),
    )
    report: Optional[str] = setting(None, "an HTML page of the run's curves, written anew after every epoch", str)
    tensorboard: Optional[str] = setting(None, "folder for TensorBoard's files (needs the package tensorboard)", str)


@dataclass(frozen=True)
class TrainConfig(
    NetworkSettings,
    ReaderSettings,
    EngineSettings,
    OriginalTrainSettings,
    CheckpointSettings,
    AddedTrainSettings,
    EpochTestSettings,
    ZooSettings,
):
    """The settings of train_net, by the names of its flags.

    >>> TrainConfig(model_name="r3d", num_labels=8).video_res_type
    1
    """

    @property
    def train_database(self) -> str:
        """The database that is trained on. Raises UsageError where none is given."""
        if not self.train_data:
            raise UsageError("--train_data is not given; it takes an LMDB of videos, as create_video_db.py makes it")
        return self.train_data

    @classmethod
    def use(cls, flags: Mapping[str, Any]) -> Use:
        """Nothing comes from a checkpoint of this training, which goes on with the settings that it is given."""
        resumes = flags.get("load_model_path") and flags.get("is_checkpoint")
        if resumes and file_type(flags["load_model_path"], flags.get("db_type")) == "minidb":
            return replace(TRAINING, takes=frozenset(), from_zoo=TRAINING.from_zoo | TRAINING.takes)
        return TRAINING

    video_res_type: int = changed(ReaderSettings, "video_res_type", 1)
    load_model_path: Optional[str] = changed(
        CheckpointSettings, "load_model_path", None, "weights to start from, .mdl or .pkl (see --is_checkpoint)"
    )
    label_names: Optional[str] = changed(ReportSettings, "label_names", None)
    output: Optional[str] = setting(None, "the result (or the plan) as JSON", metavar="FILE")
