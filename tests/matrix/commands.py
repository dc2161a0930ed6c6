"""The command lines that rows are made of.

All flags that matter are given: no row depends on a default, nor on what a checkpoint says about itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
SOUND = ("--model_name=a_resnet", "--model_depth=18", "--input_type=2", "--num_channels=1")
AUDIO_VISUAL = ("--model_name=av_resnet-r3d", "--model_depth=18", "--input_type=3")
BLENDED = ("--g_blend=1", "--audio_weight=0.1", "--visual_weight=0.6", "--av_weight=0.3")
VARIED_WITH_SOUND = (*VARIED, "--train_data={sounding}", *AUDIO_VISUAL, *BLENDED, "--load_model_path={av_pkl}")
IMAGES = ("--model_name=r2d", "--clip_length_rgb=1", "--image_as_input=1")
NO_START = ("--get_start_frame=0", "--features=final_avg,softmax,label,video_id")
CONVOLUTIONAL = ("--use_convolutional_pred=1", "--crop_size=128", "--scale_h=128", "--scale_w=171")
H5PY = "h5py"
NEW_TORCH = "torch.export"  # of PyTorch 2.1, which has all layers in bf16 on the CPU; 1.10 has not

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
