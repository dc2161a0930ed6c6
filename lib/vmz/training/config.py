"""What a training is: its network, data, schedule and outputs in one checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from vmz.checkpoints.loading import file_type
from vmz.engines.precisions import TRAINING as PRECISIONS
from vmz.engines.schedule import POLICIES
from vmz.errors import UsageError
from vmz.evaluation.config import ReportSettings
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.engine import EngineSettings
from vmz.settings.epoch_evaluation import EpochTestSettings
from vmz.settings.kinds import Integer, Number, epochs, not_negative, positive, switch
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import DATA_WANTED, ReaderSettings
from vmz.settings.resolution import TRAINING, Use, ZooSettings
from vmz.settings.setting import Settings, changed, setting
from vmz.video.arguments import MOST as READER_MOST


@dataclass(frozen=True)
class OriginalTrainSettings(Settings):
    """The settings of the original's train_net, with its defaults."""

    train_data: Optional[str] = setting(
        None, "training videos: an LMDB, a list or a folder of class folders, as --test_data", str, metavar="DATA"
    )
    batch_size: int = setting(
        32,
        "number of clips per batch of each device; 8 devices process 8 times as many per iteration",
        Integer(1, READER_MOST["batch_size"]),
    )
    epoch_size: int = setting(
        110000,
        "number of clips per epoch, rounded down to whole iterations, whatever the size of the database; 0: one "
        "pass over the database (the default with --zoo)",
        not_negative,
    )
    num_epochs: int = setting(
        50, "total number of epochs, including those before a resumed checkpoint", Integer(1, 1 << 20)
    )
    base_learning_rate: float = setting(
        0.003, "learning rate of one device; it is multiplied by the number of devices", Number(0, 1e6)
    )
    step_epoch: int = setting(10, "number of epochs between two steps of the learning rate", Integer(1, 1 << 20))
    gamma: float = setting(0.1, "factor of each step of the learning rate", Number(0, 1000))
    weight_decay: float = setting(
        0.005,
        "L2 weight decay of weights (_w) and batch-norm scales (_s); biases (_b) are never decayed",
        Number(0, 1000),
    )
    jitter_scales: Optional[str] = setting(
        None,
        "short edges to draw from for each video, such as 128,160 (with --video_res_type=1); by default "
        "min(scale_h, scale_w) and 1.25 times it",
        str,
        metavar="N,N",
    )
    cudnn_workspace_limit_mb: int = setting(64, "scratch memory of cuDNN in MB (Caffe2 on a GPU)", Integer(1, 1 << 20))
    file_store_path: str = setting("/tmp", "folder of the checkpoints", str, metavar="DIR")
    save_model_name: str = setting(
        "simple_c3d", "name of the checkpoints: <file_store_path>/<save_model_name>_<epoch>.mdl and .pkl", str
    )
    is_checkpoint: int = setting(
        1,
        "1: --load_model_path is a checkpoint of this training, which continues from it; 0: it only initialises "
        "the network, whose classifier may be new (fine-tuning). A .pkl always only initialises",
        switch,
    )
    get_video_id: int = setting(0, "1: the reader also returns video ids, which have no effect on training", switch)
    display_iter: int = setting(
        10, "number of iterations between two progress lines in a log (a terminal shows a bar)", positive
    )
    profiling: int = setting(0, "1: print the time that each iteration spends on reading and in the network", switch)
    audio_weight: float = setting(0.0, "weight of the audio loss, with --g_blend=1", Number())
    visual_weight: float = setting(0.0, "weight of the visual loss, with --g_blend=1", Number())
    av_weight: float = setting(1.0, "weight of the joint loss, with --g_blend=1", Number())


@dataclass(frozen=True)
class AddedTrainSettings(Settings):
    """What the original's train_net lacks. All of it is opt-in."""

    resume: int = setting(0, "1: continue from the newest checkpoint of this name, or start if there is none", switch)
    checkpoint_minutes: float = setting(
        0.0, "minutes between two checkpoints <save_model_name>_latest.mdl within an epoch; 0: none", Number(0, 1e6)
    )
    shuffle: int = setting(
        0, "1: read the database in a new random order in each pass; 0: in the order of its keys", switch
    )
    random_mirror: int = setting(1, "0: do not mirror clips, for classes such as left and right", switch)
    use_full_ft: int = setting(1, "0: train the classifier only, and freeze the rest of the network", switch)
    freeze_bn: int = setting(
        0, "1: batch norm uses its running statistics and does not update them (--engine=pytorch only)", switch
    )
    precise_bn: int = setting(
        0,
        "recompute the running statistics over this number of batches before each evaluation; 0: do not "
        "(--engine=pytorch only)",
        not_negative,
    )
    schedule: str = setting("step", "schedule of the learning rate: steps, or half a cosine down to 0", str, POLICIES)
    warmup_epochs: float = setting(
        0.0, "number of epochs in which the learning rate rises linearly; they are part of --num_epochs", Number(0, 1e6)
    )
    gradual_warmup: int = setting(
        0, "1: the warm-up starts at the rate of one device, --base_learning_rate; 0: it starts near zero", switch
    )
    decay_after_warmup: int = setting(
        0, "1: steps and cosine count from the end of the warm-up; 0: from the first iteration", switch
    )
    lr_milestones: Optional[str] = setting(
        None,
        "epochs after which the learning rate is multiplied by --gamma, such as 10,20,30, counted from the end "
        "of the warm-up; replaces --step_epoch",
        epochs,
    )
    accumulation_steps: int = setting(
        1,
        "number of batches of each device per iteration; they count as that many times the devices "
        "(--engine=pytorch only)",
        Integer(1, 1 << 20),
    )
    precision: str = setting(
        "fp32",
        "number format of the forward and backward pass; parameters stay float32. bf16 and fp16: --engine=pytorch only",
        str,
        PRECISIONS,
    )
    clip_gradient: float = setting(
        0.0, "largest L2 norm of the whole gradient; 0: no limit (--engine=pytorch only)", Number(0)
    )
    deterministic: int = setting(
        0, "1: use only deterministic kernels (slower on a GPU, where it needs --engine=pytorch)", switch
    )
    channels_last: int = setting(
        0,
        "1: store clips and weights with channels last on a GPU too, as the CPU always does; faster on most GPUs "
        "(--engine=pytorch only)",
        switch,
    )
    early_stop: int = setting(
        0,
        "stop after this number of epochs without improvement of video@1 or, at the same video@1, of clip@1 "
        "(with --multi_label=1: mAP, then mAUC); 0: never",
        Integer(0, 1 << 20),
    )
    report: Optional[str] = setting(
        None, "write a web page of the training curves after every epoch: one HTML file", str, metavar="FILE"
    )
    tensorboard: Optional[str] = setting(
        None, "folder for TensorBoard's files (needs the package tensorboard)", str, metavar="DIR"
    )


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
        """The LMDB that is trained on. Raises UsageError where no data is given."""
        if not self.train_data:
            raise UsageError(f"--train_data is not given; {DATA_WANTED}")
        return self.database_of(self.train_data)

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
    output: Optional[str] = setting(None, "write the result (or the plan) as JSON", metavar="FILE")
