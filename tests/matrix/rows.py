"""The table: what each tool does on each engine, in one process and in two. A new row is tested and documented.

All flags that matter are given: no row depends on a default, nor on what a checkpoint says about itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.matrix import checks
from tests.matrix.cells import ALONE, SLOW, Cannot, Command, Row, outcomes

NETWORK = (
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--num_channels=3",
    "--crop_size=112", "--clip_length_rgb=4", "--use_dropout=0", "--multi_label=0", "--use_pool1=0",
    "--use_convolutional_pred=0",
)  # fmt: skip
READER = (
    "--scale_h=112", "--scale_w=120", "--sampling_rate_rgb=1", "--video_res_type=0", "--num_decode_threads=1",
    "--clip_length_of=4", "--sampling_rate_of=1", "--frame_gap_of=1", "--flow_data_type=0", "--do_flow_aggregation=0",
)  # fmt: skip
ON_CPU = ("--num_gpus=0",)
FLOW = ("--input_type=1", "--num_channels=2")
VARIED = ("--train_data={clips}", "--scale_w=120", "--random_mirror=1", "--shuffle=1")  # random clips and crops
IMAGES = ("--model_name=r2d", "--clip_length_rgb=1", "--image_as_input=1")
NO_START = ("--get_start_frame=0", "--features=final_avg,softmax,label,video_id")
CONVOLUTIONAL = ("--use_convolutional_pred=1", "--crop_size=128", "--scale_h=128", "--scale_w=171")
H5PY = "h5py"

ONE_PROCESS = outcomes(pytorch_2=ALONE, caffe2_2=ALONE)
NO_TORCHRUN = Cannot("engine", "--engine=caffe2 trains in one process", "trains in one process, without torchrun")
TRAINS = outcomes(caffe2_2=NO_TORCHRUN)
SLOW_TRAINS = outcomes(pytorch_2=SLOW, caffe2_2=replace(NO_TORCHRUN, slow=True))
ALL_SLOW = outcomes(pytorch=SLOW, pytorch_2=SLOW, caffe2=SLOW, caffe2_2=SLOW)
SLOW_TOGETHER = outcomes(pytorch_2=SLOW, caffe2_2=SLOW)  # what two processes share is tested by a row beside this one


def pytorch_only(flag: str, says: str) -> dict[Any, Any]:
    """Outcomes of a flag that only the PyTorch engine has."""
    refused = Cannot(flag, f"{says} needs --engine=pytorch", "--engine=pytorch only")
    return {**SLOW_TRAINS, **outcomes(caffe2=refused)}


def train(*more: str, data: str = "short", devices: tuple[str, ...] = ON_CPU, **keywords: Any) -> Command:
    """One epoch of two iterations of two clips on each device.

    The engines draw random numbers of their own. So there is nothing to draw: one start, one crop, no mirror.
    """
    flags = (
        *NETWORK, *READER, *devices, f"--train_data={{{data}}}", "--batch_size=2", "--num_epochs=1",
        "--epoch_size={iterations_2}", "--base_learning_rate=0.01", "--step_epoch=1", "--gamma=0.5",
        "--weight_decay=0.005", "--display_iter=1", "--file_store_path={out}", "--save_model_name=run",
        "--output={out}/result.json", "--deterministic=1", "--seed=3", "--scale_w=112", "--random_mirror=0",
        "--clip_length_of=2", "--frame_gap_of=2",
    )  # fmt: skip
    return Command("train_net", (*flags, *more), **keywords)


def fine_tune(weights: str, *more: str, **keywords: Any) -> Command:
    """One iteration on each device, from weights in a file."""
    return train(
        "--epoch_size={iterations_1}", "--is_checkpoint=0", f"--load_model_path={{{weights}}}", *more, **keywords
    )


def test(weights: str, *more: str, tool: str = "test_net", data: str = "clips", scores: str = "scores.npz") -> Command:
    """Two clips of each video, with the figures in tested.json and the scores in scores.npz."""
    path = weights if "/" in weights else f"{{{weights}}}"
    flags = (
        *NETWORK, *READER, *ON_CPU, f"--test_data={{{data}}}", f"--load_model_path={path}", "--clip_per_video=2",
        "--crop_per_clip=1", "--batch_size=3", "--aggregation=0", "--top_k=2", "--check_data=0",
        "--crop_per_inference=0", "--output={out}/tested.json", f"--save_scores={{out}}/{scores}",
    )  # fmt: skip
    return Command(tool, (*flags, *more))


def extract(*more: str, ending: str = ".npz", data: str = "clips") -> Command:
    """Features of one clip of each video of a database, from its start frame on, into features/0.npz."""
    flags = (
        *NETWORK, *READER, *ON_CPU, f"--test_data={{{data}}}", "--load_model_path={rgb_pkl}", "--clip_per_video=1",
        "--crop_per_clip=1", "--batch_size=2", "--decode_type=2", "--get_video_id=1", "--get_start_frame=1",
        "--features=final_avg,softmax,label,video_id,start_frame", f"--output_path={{out}}/features/0{ending}",
    )  # fmt: skip
    return Command("extract_features", (*flags, *more))


def films(form: str, *more: str) -> Command:
    """Features all along the videos of a folder."""
    flags = (
        *NETWORK, *READER, *ON_CPU, "--videos={films}/*.mp4", "--load_model_path={rgb_pkl}", "--batch_size=3",
        "--features=final_avg,softmax", "--stride_seconds=0.5", f"--video_format={form}",
        "--output_path={out}/features",
    )  # fmt: skip
    return Command("extract_features", (*flags, *more))


def dump(*more: str, data: str = "clips") -> Command:
    flags = (
        *READER, "--crop_size=112", "--clip_length_rgb=4", "--num_labels=5", "--batch_size=3", "--clip_per_video=2",
        "--decode_type=1", "--num_batches=0", f"--test_data={{{data}}}", "--output={out}/clips.npz", "--multi_label=0",
    )  # fmt: skip
    return Command("dump_clips", (*flags, *more))


def training(name: str, feature: str, *commands: Command, check: Callable[..., None], **more: Any) -> Row:
    return Row(name, "train_net", feature, commands, check, **{"outcomes": TRAINS, **more})


def again(folder: str, *more: str, epochs: int = 2, **keywords: Any) -> Command:
    """A training of so many epochs in a folder of its own."""
    own = (f"--file_store_path={{out}}/{folder}", f"--num_epochs={epochs}")
    return train(*own, "--load_model_path={rgb_pkl}", "--is_checkpoint=0", *more, **keywords)


TRAINING = [
    training("train", "train from scratch", train(*VARIED), check=checks.learns),
    training(
        "train_dropout",
        "with dropout",
        train("--use_dropout=1"),
        check=checks.learns,
        outcomes={**ALL_SLOW, **SLOW_TRAINS},
    ),
    training("tune_pkl", "fine-tune from a .pkl", fine_tune("rgb_pkl"), check=checks.fine_tunes),
    training(
        "tune_mdl", "fine-tune from a .mdl", fine_tune("state_mdl"), check=checks.fine_tunes, outcomes=SLOW_TRAINS
    ),
    training(
        "tune_flow",
        "on optical flow",
        fine_tune("flow_pkl", *FLOW),
        check=checks.fine_tunes_on_flow,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_multi",
        "several labels a video",
        fine_tune("multi_pkl", "--multi_label=1"),
        check=checks.fine_tunes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_images",
        "on images",
        fine_tune("images_pkl", *IMAGES, data="pictures"),
        check=checks.fine_tunes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_labels",
        "fine-tune on another number of labels",
        fine_tune("rgb_pkl", "--num_labels=9"),
        test("{out}/run_1.pkl", "--num_labels=9"),
        check=checks.has_a_new_head,
    ),
    training(
        "tune_name",
        "fine-tune a classifier under its own --pred_layer_name",
        fine_tune("rgb_pkl", "--pred_layer_name=mine"),
        test("{out}/run_1.pkl", "--pred_layer_name=mine"),
        check=checks.has_a_new_head,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_frozen",
        "fine-tune the classifier alone (--use_full_ft=0)",
        fine_tune("rgb_pkl", "--use_full_ft=0"),
        check=checks.keeps_the_trunk,
    ),
    training(
        "tune_frozen_bn",
        "frozen batch norm (--freeze_bn=1)",
        fine_tune("rgb_pkl", "--freeze_bn=1"),
        check=checks.keeps_the_statistics,
        outcomes=pytorch_only("freeze_bn", "--freeze_bn=1"),
    ),
    training(
        "evaluate",
        "evaluation after an epoch",
        fine_tune(
            "rgb_pkl",
            "--test_data={clips}",
            "--test_clip_per_video=2",
            "--test_batch_size=3",
            "--test_num_iter=0",
            "--test_every=1",
            "--top_k=2",
        ),
        test("{out}/run_1.pkl"),
        check=checks.evaluates,
    ),
    training(
        "resume_epoch",
        "resume after an epoch",
        again("whole", *VARIED),
        again("stopped", *VARIED, epochs=1),
        again("stopped", *VARIED, "--resume=1"),
        check=checks.resumes,
        outcomes={**ALL_SLOW, **SLOW_TRAINS},
    ),
    training(
        "resume_middle",
        "resume in the middle of an epoch",
        again("whole", *VARIED),
        again("stopped", *VARIED, stop_after=1, status=143),
        again("stopped", *VARIED, "--resume=1"),
        check=checks.resumes,
    ),
    training(
        "resume_other",
        "resume what the other engine began",
        again("whole", "--epoch_size={iterations_1}", "--engine={engine}"),
        again("stopped", "--epoch_size={iterations_1}", "--engine={other}", epochs=1),
        again("stopped", "--epoch_size={iterations_1}", "--engine={engine}", "--resume=1"),
        check=checks.continues_the_other_engine,
        outcomes=ONE_PROCESS,
        both=True,
    ),
    training(
        "two_gpus",
        "two GPUs in one process (--num_gpus=2; tested with CPUs in their place)",
        fine_tune(
            "rgb_pkl",
            "--test_data={clips}",
            "--test_clip_per_video=2",
            "--test_batch_size=3",
            "--test_num_iter=0",
            devices=("--num_gpus=2",),
            as_gpus=True,
        ),
        check=checks.fine_tunes,
        outcomes=outcomes(pytorch=ALONE, pytorch_2=ALONE, caffe2_2=ALONE),
    ),
    *(
        training(
            f"train_{flag}",
            words,
            train(f"--{flag}={value}"),
            check=checks.learns,
            outcomes=pytorch_only(flag, f"--{flag}{says}"),
        )
        for flag, value, says, words in (
            ("schedule", "cosine", "=cosine", "cosine schedule (--schedule=cosine)"),
            ("warmup_epochs", "0.5", "", "linear rise of the rate (--warmup_epochs)"),
            ("clip_gradient", "1", "=1", "clipped gradients (--clip_gradient)"),
            ("precision", "bf16", "=bf16", "mixed precision (--precision=bf16, fp16)"),
            ("channels_last", "1", "=1", "channels last in memory (--channels_last=1)"),
            ("precise_bn", "1", "", "recomputed statistics of batch norm (--precise_bn)"),
        )
    ),
    training(
        "train_accumulation_steps",
        "gradients of several batches (--accumulation_steps)",
        train("--accumulation_steps=2", "--epoch_size={iterations_4}"),
        check=checks.learns,
        outcomes=pytorch_only("accumulation_steps", "--accumulation_steps=2"),
    ),
    training(
        "train_convolutional",
        "fully convolutional head",
        train(*CONVOLUTIONAL),
        check=checks.learns,
        outcomes={
            **dict.fromkeys(
                outcomes(pytorch=0, pytorch_2=0, caffe2=0),
                Cannot("use_convolutional_pred", "use_convolutional_pred is for testing only", "testing only"),
            ),
            **TRAINS,
        },
    ),
]


def testing(
    name: str, feature: str, *commands: Command, check: Callable[..., None] = checks.scores_agree, **more: Any
) -> Row:
    return Row(name, commands[0].tool, feature, commands, check, **more)


TESTING = [
    testing("test", "one crop a clip, scores kept (--save_scores)", test("rgb_pkl")),
    testing(
        "test_maximum",
        "maximum over clips (--aggregation=1)",
        test("rgb_pkl", "--aggregation=1"),
        outcomes=ALL_SLOW,
    ),
    testing("test_crops", "three crops a clip", test("rgb_pkl", "--crop_per_clip=3", "--video_res_type=1")),
    testing("test_convolutional", "fully convolutional", test("rgb_pkl", *CONVOLUTIONAL), outcomes=SLOW_TOGETHER),
    testing(
        "test_large",
        "fully convolutional, crops in slices (--crop_per_inference)",
        test(
            "rgb_pkl",
            *CONVOLUTIONAL,
            "--crop_per_inference=4",
            "--crop_per_clip=3",
            "--video_res_type=1",
            tool="test_net_large",
        ),
        test("rgb_pkl", *CONVOLUTIONAL, "--crop_per_clip=3", "--video_res_type=1", scores="whole.npz"),
        check=checks.slices_agree,
    ),
    testing("test_multi", "several labels a video", test("multi_pkl", "--multi_label=1"), outcomes=SLOW_TOGETHER),
    testing("test_flow", "on optical flow", test("flow_pkl", *FLOW), outcomes=SLOW_TOGETHER),
    testing(
        "test_images",
        "on images",
        test("images_pkl", *IMAGES, "--clip_per_video=1", data="pictures"),
        outcomes=SLOW_TOGETHER,
    ),
    testing("test_mdl", "a .mdl of training", test("state_mdl"), outcomes=SLOW_TOGETHER),
    testing(
        "aggregate",
        "aggregate_scores on kept scores",
        test("rgb_pkl", "--aggregation=1"),
        Command("aggregate_scores", ("{out}/scores.npz", "--top_k=2", "--output={out}/again.json")),
        check=checks.aggregates,
        outcomes=ONE_PROCESS,
    ),
]


def extraction(
    name: str, feature: str, *commands: Command, check: Callable[..., None] = checks.features_agree, **more: Any
) -> Row:
    return Row(name, "extract_features", feature, commands, check, **more)


FEATURES = [
    extraction("features", "from a database, as .npz", extract()),
    extraction(
        "features_pkl",
        "from a database, as the original's pickle",
        extract(ending=".pkl"),
        check=checks.formats_agree,
        outcomes=SLOW_TOGETHER,
    ),
    extraction(
        "features_h5", "from a database, as HDF5", extract(ending=".h5"), check=checks.formats_agree, needs=H5PY, outcomes=SLOW_TOGETHER
    ),
    extraction(
        "features_uniform",
        "clips evenly spaced",
        extract("--decode_type=1", "--clip_per_video=2", *NO_START),
        outcomes=ALL_SLOW,
    ),
    extraction(
        "features_random",
        "a random clip, of the seed",
        extract("--decode_type=0", *NO_START),
        check=checks.random_features,
    ),
    extraction(
        "features_flow",
        "of optical flow",
        extract(*FLOW, "--load_model_path={flow_pkl}", "--decode_type=1", *NO_START),
        outcomes=SLOW_TOGETHER,
    ),
    extraction(
        "features_images",
        "of images",
        extract(
            *IMAGES,
            "--load_model_path={images_pkl}",
            "--decode_type=1",
            "--get_video_id=0",
            "--get_start_frame=0",
            "--features=final_avg,softmax,label",
            data="pictures",
        ),
        outcomes=SLOW_TOGETHER,
    ),
    extraction("films", "along untrimmed videos (--videos), as .npz", films("npz")),
    extraction(
        "films_pkl", "along untrimmed videos, as the original's pickle", films("pickle"), check=checks.formats_agree, outcomes=SLOW_TOGETHER
    ),
    extraction("films_h5", "along untrimmed videos, as HDF5", films("hdf5"), check=checks.formats_agree, needs=H5PY, outcomes=SLOW_TOGETHER),
    extraction(
        "films_flow",
        "along untrimmed videos, optical flow",
        films("npz", *FLOW, "--load_model_path={flow_pkl}"),
        outcomes=dict.fromkeys(
            outcomes(pytorch=0, pytorch_2=0, caffe2=0, caffe2_2=0),
            Cannot("videos", "--input_type=1 does not go with --videos", "RGB clips only"),
        ),
    ),
    extraction(
        "dense",
        "dense_prediction_aggregation and _fusion of features",
        extract("--decode_type=1", "--clip_per_video=2", "--get_start_frame=0", "--features=softmax,label,video_id"),
        Command("dense_prediction_aggregation", ("--input_dir={out}/features", "--output={out}/dense.json")),
        Command(
            "dense_prediction_fusion",
            ("--input_dir1={out}/features", "--input_dir2={out}/features", "--alpha=0.6", "--output={out}/fused.json"),
        ),
        check=checks.dense_figures,
        outcomes=ONE_PROCESS,
    ),
]


def looking(name: str, tool: str, feature: str, *commands: Command, check: Callable[..., None], **more: Any) -> Row:
    return Row(name, tool, feature, commands, check, **{"outcomes": ONE_PROCESS, **more})


LOOKING = [
    looking("dump", "dump_clips", "clips of a database", dump(), check=checks.clips_agree),
    looking("dump_flow", "dump_clips", "optical flow", dump("--input_type=1"), check=checks.flow_agrees),
    looking(
        "dump_images",
        "dump_clips",
        "images",
        dump("--image_as_input=1", "--clip_length_rgb=1", "--clip_per_video=1", data="pictures"),
        check=checks.clips_agree,
    ),
    looking(
        "compare",
        "compare_engines",
        "every blob of a network, on both engines",
        Command("compare_engines", (*NETWORK, *READER, "--load_model_path={rgb_pkl}", "--output={out}/blobs.json")),
        check=checks.all_blobs_agree,
        both=True,
        outcomes=outcomes(pytorch_2=ALONE, caffe2_2=ALONE),
    ),
    looking(
        "print",
        "print_net",
        "the network that the engine trains",
        train(),
        Command("print_net", (*NETWORK, "--json")),
        check=checks.lists_the_parameters,
    ),
    looking(
        "convert",
        "minidb_to_pickle",
        "a .mdl of training",
        train(),
        Command("minidb_to_pickle", ("--load_model_path={out}/run_1.mdl", "--save_model_path={out}/converted.pkl")),
        test("{out}/run_1.mdl", scores="whole.npz"),
        test("{out}/converted.pkl"),
        check=checks.converts,
    ),
]

ROWS = [*TRAINING, *TESTING, *FEATURES, *LOOKING]
