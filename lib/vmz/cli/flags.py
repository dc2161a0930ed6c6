"""The flags, defined once: every tool names those it takes. Names and defaults are the original tools'.

A default differs only where the original's is a trap; the help text of the flag then says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

from vmz.checkpoints.loading import DB_TYPES
from vmz.cli.flag_kinds import SEED, Integer, Number, device, epochs, not_negative, positive, switch
from vmz.engines.registry import ENGINES, default_engine
from vmz.engines.schedule import POLICIES
from vmz.engines.trainer import PRECISIONS
from vmz.models.config import LARGEST as MODEL_LARGEST
from vmz.models.config import WIDEST
from vmz.video.arguments import MOST as READER_MOST
from vmz.video.frames.watch import VIDEO_TIMEOUT


@dataclass(frozen=True)
class Flag:
    """One flag: its type (a function of the text), default, help, and the accepted values where they are few."""

    kind: Callable[[str], Any]
    default: Any
    help: str
    choices: Optional[tuple[Any, ...]] = None
    default_now: Optional[Callable[[], Any]] = None  # where the default depends on the environment

    @property
    def metavar(self) -> Optional[str]:
        """What --help writes for the value."""
        if self.choices:
            return None
        return "X" if isinstance(self.kind, Number) else METAVARS.get(self.kind, "N")

    def effective_default(self) -> Any:
        """The default here and now. Raises UsageError where the environment asks for what there is not."""
        return self.default if self.default_now is None else self.default_now()


TOP_K_HELP = "k of the accuracy in the top k; at most the number of classes, and named for what it is"

MODEL_FLAGS = {
    "model_name": Flag(str, "r2plus1d", "network"),
    "model_depth": Flag(Integer(1, 1000), 18, "layers: 10, 16, 18, 26, 34, 50, 101 or 152"),
    "num_labels": Flag(Integer(1, MODEL_LARGEST["num_labels"]), 101, "classes"),
    "num_channels": Flag(Integer(1, MODEL_LARGEST["num_channels"]), 3, "channels of a clip"),
    "crop_size": Flag(Integer(1, READER_MOST["crop_size"]), 112, "height and width of a clip"),
    "clip_length_rgb": Flag(Integer(1, READER_MOST["length_rgb"]), 16, "frames of a clip"),
    "multi_label": Flag(switch, 0, "several labels a video: sigmoid in place of softmax"),
    "channel_multiplier": Flag(Number(0, WIDEST), 1.0, "widens or narrows every stage, the inside of bottlenecks too"),
    "bottleneck_multiplier": Flag(Number(0, WIDEST), 1.0, "widens or narrows the inside of bottlenecks once more"),
    "use_dropout": Flag(switch, 0, "dropout before the classifier"),
    "conv1_temporal_stride": Flag(Integer(1, 64), 1, "temporal stride of the first layer"),
    "conv1_temporal_kernel": Flag(Integer(1, 64), 3, "temporal kernel of the first layer: 3 or 5"),
    "use_convolutional_pred": Flag(switch, 0, "fully convolutional head, for crops 128, 256 and 320 (testing only)"),
    "use_pool1": Flag(switch, 0, "max pool after the first layer, for crops of 224 and more"),
    "pred_layer_name": Flag(str, None, "name of the classifier's blob; last_out_L<num_labels> when not given"),
    "use_cudnn": Flag(
        switch, 1, "write the CUDNN engine into the ops, as published; the PyTorch engine does not need it"
    ),
}

READER_FLAGS = {
    "test_data": Flag(str, None, "LMDB of videos, as create_video_db.py makes it"),
    "scale_h": Flag(
        Integer(1, READER_MOST["scale_h"]), 128, "height to resize to; the short edge is min(scale_h, scale_w)"
    ),
    "scale_w": Flag(Integer(1, READER_MOST["scale_w"]), 171, "width to resize to"),
    "video_res_type": Flag(
        int,
        0,
        "0: resize to scale_w x scale_h whatever the aspect; 1: resize the short edge; 2: no resizing",
        (0, 1, 2),
    ),
    "sampling_rate_rgb": Flag(Integer(1, READER_MOST["sampling_rate_rgb"]), 1, "every n-th frame"),
    "clip_per_video": Flag(Integer(1, READER_MOST["clip_per_video"]), 10, "clips a video, evenly spaced"),
    "crop_per_clip": Flag(
        Integer(1, READER_MOST["crop_per_clip"]), 1, "crops a clip, along the longer side; 1: the centre"
    ),
    "batch_size": Flag(
        Integer(1, READER_MOST["batch_size"]),
        6,
        "videos a batch (clips a batch: times clip_per_video and crop_per_clip)",
    ),
    "num_decode_threads": Flag(
        Integer(1, READER_MOST["num_decode_threads"]), 4, "threads that decode ahead of the net"
    ),
    "use_local_file": Flag(switch, 0, "the LMDB holds paths of videos, not their bytes"),
    "image_as_input": Flag(
        switch,
        0,
        "1: the LMDB holds images, each a clip of one frame (--clip_length_rgb=1 --clip_per_video=1, for r2d and r2df)",
    ),
    "input_type": Flag(
        int, 0, "what the network sees, 0: RGB, 1: optical flow. (2: audio and 3: both are not here yet)", (0, 1)
    ),
    "clip_length_of": Flag(
        Integer(1, READER_MOST["length_of"]),
        8,
        "flows of a clip (as the four below, of effect with --input_type=1 only)",
    ),
    "sampling_rate_of": Flag(Integer(1, READER_MOST["sampling_rate_of"]), 2, "a flow from every n-th frame on"),
    "frame_gap_of": Flag(Integer(1, READER_MOST["frame_gap_of"]), 2, "frames from the first to the second of a flow"),
    "do_flow_aggregation": Flag(switch, 0, "1: chain the flows of neighbours across the gap; 0: one flow across it"),
    "flow_data_type": Flag(
        int,
        0,
        "channels of the flow, 0: dx, dy; 1: and |dx|+|dy|; 2: and the first frame in gray; 3: and its R, G, B "
        "(--num_channels 2, 3, 3, 5)",
        (0, 1, 2, 3),
    ),
    "on_bad_video": Flag(
        str,
        "stop",
        "a video that cannot be decoded: stop with an error, or skip it, out of the counts",
        ("stop", "skip"),
    ),
    "video_timeout": Flag(
        not_negative,
        VIDEO_TIMEOUT,
        "seconds that a video may go without a new frame before it counts as one that cannot be decoded; 0: any",
    ),
    "max_frames": Flag(not_negative, 0, "frames read of a video at most; 0: all of them, 10000: as the original"),
    "autorotate": Flag(switch, 0, "1: turn frames as the video's metadata ask, as players do; the original does not"),
    "original_start_faults": Flag(
        switch,
        0,
        "1: find start frames and draw random clips as the original did, by the stated duration: other frames where "
        "times do not begin at 0, vary or are cut by an edit list, and the first where none is stated (.mkv)",
    ),
}

ENGINE_FLAGS = {
    "engine": Flag(
        str,
        "pytorch",
        "what runs the net; caffe2 needs .venv-caffe2 (make setup-caffe2), and trains in one process, without "
        "torchrun. The environment variable VMZ_ENGINE sets the default",
        ENGINES,
        default_engine,
    ),
    "device": Flag(device, "auto", "auto (the first GPU, or else the CPU), cpu, cuda or cuda:N"),
    "num_gpus": Flag(
        Integer(0, 1024),
        None,
        "0: the CPU, N: so many GPUs, one process each. Not given: --device decides (the original takes 1 GPU, there "
        "or not)",
    ),
    "gpus": Flag(str, None, "the GPUs to use, by number, as 0,1, in place of --num_gpus and --device"),
    "num_threads": Flag(
        positive, None, "CPU threads that the engine computes with; not given: OMP_NUM_THREADS, or else all cores"
    ),
    "seed": Flag(SEED, 0, "seed of everything random"),
}

TEST_FLAGS = {
    "load_model_path": Flag(str, None, "weights: a .pkl, of the zoo for one, or a .mdl of training"),
    "db_type": Flag(str, None, "format of --load_model_path; not given: its ending tells", DB_TYPES),
    "num_iter": Flag(not_negative, 0, "stop after so many batches; 0: the whole database, each video once"),
    "top_k": Flag(Integer(1, 1 << 20), 5, TOP_K_HELP),
    "aggregation": Flag(int, 0, "a video's score over its clips: 0 their mean, 1 their maximum", (0, 1)),
    "crop_per_inference": Flag(
        Integer(0, 1 << 20),
        0,
        "clips and crops that go through the net at a time, to bound its memory; 0: a whole batch",
    ),
    "print_per_class_metrics": Flag(switch, 0, "also a line for each class"),
    "get_video_id": Flag(switch, 0, "1: the records hold video ids, which --save_scores keeps too"),
    "display_iter": Flag(positive, 10, "batches between two progress lines in a log (a terminal gets a bar)"),
}

# How the weights of --load_model_path are fitted to the network, in testing and in training.
CHECKPOINT_FLAGS = {
    "center_init": Flag(switch, 0, "1: 2-D weights go into the centre frame of 3-D ones, not in equal parts into each"),
    "bgr2rgb": Flag(switch, 0, "1: turn round the input channels of the first layer, for weights made on BGR"),
    "allow_partial_load": Flag(switch, 0, "1: go on though the file leaves blobs of the network at initial values"),
}

# Original names and defaults of train_net; what differs in default from test_net's flags is in TRAIN_DEFAULTS.
TRAIN_FLAGS = {
    "train_data": Flag(str, None, "LMDB of training videos, as create_video_db.py makes it"),
    "batch_size": Flag(
        Integer(1, READER_MOST["batch_size"]),
        32,
        "clips a batch *of each device*; 8 devices see 8 times as many an iteration",
    ),
    "epoch_size": Flag(
        not_negative,
        110000,
        "clips that make an epoch (rounded down to whole iterations), however many the LMDB holds; "
        "0: one pass over the LMDB, the default with --zoo",
    ),
    "num_epochs": Flag(Integer(1, 1 << 20), 50, "epochs in all, those before a resumed checkpoint included"),
    "base_learning_rate": Flag(
        Number(0, 1e6), 0.003, "learning rate of one device; the rate used is this times the devices"
    ),
    "step_epoch": Flag(Integer(1, 1 << 20), 10, "epochs between two steps of the learning rate"),
    "gamma": Flag(Number(0, 1000), 0.1, "factor of each step of the learning rate"),
    "weight_decay": Flag(
        Number(0, 1000), 0.005, "L2 decay of weights (_w) and batch-norm scales (_s); biases (_b) never decay"
    ),
    "jitter_scales": Flag(
        str,
        None,
        "short edges to draw from for each video, as 128,160 (with --video_res_type=1); "
        "not given: min(scale_h, scale_w) and 1.25 times it",
    ),
    "cudnn_workspace_limit_mb": Flag(Integer(1, 1 << 20), 64, "cuDNN's scratch memory (Caffe2 on a GPU)"),
    "file_store_path": Flag(str, "/tmp", "folder of the checkpoints"),
    "save_model_name": Flag(str, "simple_c3d", "checkpoints: <file_store_path>/<save_model_name>_<epoch>.mdl, .pkl"),
    "load_model_path": Flag(str, None, "weights to start from, .mdl or .pkl (see --is_checkpoint)"),
    "db_type": Flag(str, None, "format of --load_model_path; not given: its ending tells", DB_TYPES),
    "is_checkpoint": Flag(
        switch,
        1,
        "1: --load_model_path is a checkpoint of this training, which goes on where it was; "
        "0: it only initialises the network, whose classifier may be new (fine-tuning). A .pkl always only initialises",
    ),
    "get_video_id": Flag(switch, 0, "the reader also gives the videos' ids (in the net, of no effect on training)"),
    "display_iter": Flag(positive, 10, "iterations between two progress lines in a log (a terminal gets a bar)"),
    "profiling": Flag(switch, 0, "print what each iteration spends in reading and in the net"),
    "audio_input_3d": Flag(int, 0, "audio is not here yet", (0,)),
    "g_blend": Flag(int, 0, "gradient blending needs audio, which is not here yet", (0,)),
    "audio_weight": Flag(Number(), 0.0, "weight of the audio loss in gradient blending"),
    "visual_weight": Flag(Number(), 0.0, "weight of the visual loss in gradient blending"),
    "av_weight": Flag(Number(), 1.0, "weight of the joint loss in gradient blending"),
}

TRAIN_DEFAULTS: dict[str, Any] = {"video_res_type": 1}
TRAIN_READER_FLAGS = [name for name in READER_FLAGS if name not in ("clip_per_video", "crop_per_clip", "batch_size")]

# What the original's train_net lacks. All of it is opt-in.
BEYOND_FLAGS = {
    "resume": Flag(switch, 0, "1: go on from the newest checkpoint of this name, or start where there is none"),
    "checkpoint_minutes": Flag(
        Number(0, 1e6), 0.0, "also write <save_model_name>_latest.mdl every so many minutes; 0: never"
    ),
    "shuffle": Flag(switch, 0, "1: each pass over the LMDB in an order of its own; 0: in the order of its keys"),
    "random_mirror": Flag(switch, 1, "0: clips are not mirrored, for classes such as left and right"),
    "use_full_ft": Flag(switch, 1, "0: train the classifier only, on top of a frozen trunk"),
    "freeze_bn": Flag(
        switch, 0, "1: batch norm by its running statistics, which stay as they are (--engine=pytorch only)"
    ),
    "precise_bn": Flag(
        not_negative,
        0,
        "recompute the running statistics over so many batches before each evaluation (--engine=pytorch only)",
    ),
    "schedule": Flag(str, "step", "of the learning rate: steps, or half a cosine down to 0", POLICIES),
    "warmup_epochs": Flag(Number(0, 1e6), 0.0, "epochs of linear rise of the learning rate, part of --num_epochs"),
    "gradual_warmup": Flag(
        switch, 0, "1: that rise starts at the rate of one device, --base_learning_rate; 0: at next to nothing"
    ),
    "decay_after_warmup": Flag(
        switch, 0, "1: steps and cosine count from the end of the warm-up; 0: from the first iteration"
    ),
    "lr_milestones": Flag(
        epochs,
        None,
        "epochs after which the rate falls by --gamma, as 10,20,30, counted from the end of the warm-up; in place of "
        "--step_epoch",
    ),
    "accumulation_steps": Flag(
        Integer(1, 1 << 20),
        1,
        "batches of each device that make one iteration; they count as so many times the devices (--engine=pytorch "
        "only)",
    ),
    "precision": Flag(
        str,
        "fp32",
        "of the forward and backward pass; parameters are float32. bf16 and fp16: --engine=pytorch only",
        PRECISIONS,
    ),
    "clip_gradient": Flag(Number(0), 0.0, "largest L2 norm of the whole gradient; 0: any (--engine=pytorch only)"),
    "deterministic": Flag(
        switch, 0, "1: only kernels that give the same result each time (on a GPU: slower, and --engine=pytorch only)"
    ),
    "channels_last": Flag(
        switch, 0, "1: clips and weights lie channels last in memory, which is mostly faster (--engine=pytorch only)"
    ),
    "early_stop": Flag(
        Integer(0, 1 << 20),
        0,
        "stop when the evaluation was no better for so many epochs: neither video@1 nor, at the same video@1, clip@1 "
        "rose (with --multi_label=1 mAP, then mAUC); 0: never",
    ),
    "test_clip_per_video": Flag(
        Integer(1, READER_MOST["clip_per_video"]), 10, "clips a video in the evaluation after an epoch"
    ),
    "test_batch_size": Flag(
        Integer(1, READER_MOST["batch_size"]), 6, "videos a batch in the evaluation after an epoch"
    ),
    "test_num_iter": Flag(not_negative, 0, "stop that evaluation after so many batches (the original: 100); 0: all"),
    "test_every": Flag(Integer(1, 1 << 20), 1, "epochs from one evaluation to the next; the last epoch always has one"),
    "top_k": Flag(Integer(1, 1 << 20), 5, TOP_K_HELP),
    "report": Flag(str, None, "an HTML page of the run's curves, written anew after every epoch"),
    "tensorboard": Flag(str, None, "folder for TensorBoard's files (needs the package tensorboard)"),
}

# Original names of extract_features; what differs in default from test_net's flags is in EXTRACT_DEFAULTS.
EXTRACT_FLAGS = {
    "features": Flag(str, "final_avg", "blobs to extract, as final_avg,softmax,label,video_id,start_frame"),
    "output_path": Flag(
        str,
        None,
        "file to write: .npz, .npy (one blob), .h5 or .hdf5, else the original's pickle (a folder with --videos)",
    ),
    "save_h5": Flag(switch, 0, "1: HDF5, whatever the ending of --output_path"),
    "num_iterations": Flag(
        Integer(-1), -1, "stop after so many batches; -1: the whole database, the short last batch too"
    ),
    "decode_type": Flag(
        int, 2, "0: one clip, drawn by --seed; 1: clips evenly spaced; 2: one from the record's start frame", (0, 1, 2)
    ),
    "get_video_id": Flag(switch, 0, "the records hold video ids: a blob video_id"),
    "get_start_frame": Flag(switch, 0, "the records hold start frames: a blob start_frame"),
    "sanity_check": Flag(
        int,
        0,
        "1: print the clips' accuracy, with softmax and label among --features; 2: with --multi_label=1, prob and "
        "label, their AUC, mAP and mWAP",
        (0, 1, 2),
    ),
    "load_model_path": TEST_FLAGS["load_model_path"],
    "db_type": TEST_FLAGS["db_type"],
    "display_iter": TEST_FLAGS["display_iter"],
}
EXTRACT_DEFAULTS: dict[str, Any] = {"clip_length_rgb": 4, "clip_per_video": 1, "batch_size": 32}

# What is told about an evaluation beside its figures. Ours; the original has nothing like it.
REPORT_FLAGS = {
    "report": Flag(str, None, "the evaluation as a page to look at: one HTML file"),
    "label_names": Flag(str, None, "names of the classes: one a line in the order of the labels, or .csv or .json"),
    "list": Flag(str, None, "the CSV that --test_data should hold: videos that it lacks are named"),
    "check_data": Flag(switch, 1, "0: do not look at --test_data for duplicates, frame rates and sizes beforehand"),
}

# Flags of the original's training that change nothing here, and why: whoever gives one is told.
NO_EFFECT = {
    **dict.fromkeys(("audio_weight", "visual_weight", "av_weight"), "gradient blending needs audio, not here yet"),
    "cudnn_workspace_limit_mb": "it is for Caffe2 on a GPU",
}

METAVARS: dict[Any, str] = {str: "NAME", epochs: "N,N", device: "NAME", switch: "0|1"}

FLAGS: dict[str, Flag] = {
    **MODEL_FLAGS,
    **READER_FLAGS,
    **ENGINE_FLAGS,
    **TEST_FLAGS,
    **CHECKPOINT_FLAGS,
    **REPORT_FLAGS,
}
TRAIN_NET_FLAGS: dict[str, Flag] = {**FLAGS, **TRAIN_FLAGS, **BEYOND_FLAGS}
