"""The rows of the tools around a model: predict, export, convert and finetune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.matrix import checks_of_models as checks
from tests.matrix.cells import SLOW, Cannot, Command, Row, outcomes
from tests.matrix.commands import FLOW, NETWORK, ON_CPU, ONE_PROCESS, READER, test, train


def predict(*more: str, weights: str = "{rgb_pkl}", videos: str = "{films}") -> Command:
    flags = (
        videos, *NETWORK, *READER, *ON_CPU, f"--load_model_path={weights}", "--clip_per_video=2", "--crop_per_clip=1",
        "--top_k=5", "--output={out}/predictions.json",
    )  # fmt: skip
    return Command("predict", (*flags, *more))


def export(*outputs: str) -> Command:
    return Command("export", (*NETWORK, "--load_model_path={rgb_pkl}", "--output", *outputs))


def convert(source: str, target: str) -> Command:
    return Command("convert", (source, f"--output={target}"))


def of_a_model(name: str, feature: str, *commands: Command, check: Callable[..., None], **more: Any) -> Row:
    tool = next(command.tool for command in commands if command.tool in ("predict", "export", "convert", "finetune"))
    return Row(name, tool, feature, commands, check, **{"outcomes": ONE_PROCESS, **more})


MODELS = [
    of_a_model("predict", "a folder of videos", predict(), check=checks.predictions_agree),
    of_a_model(
        "predict_list", "a list of videos (.csv)", predict(videos="{list_csv}"), check=checks.predictions_agree
    ),
    of_a_model(
        "predict_long",
        "clips all along a video (--stride_seconds), resampled (--fps)",
        predict("--stride_seconds=0.5", "--fps=12"),
        check=checks.predictions_agree,
    ),
    of_a_model(
        "predict_flow",
        "on optical flow",
        predict(*FLOW, weights="{flow_pkl}", videos="{list_csv}"),
        check=checks.predictions_agree,
    ),
    of_a_model(
        "predict_attention",
        "where the network looked (--attention)",
        predict("--attention=1", "--report={out}/page.html"),
        check=checks.shows_where_it_looked,
        outcomes={
            **ONE_PROCESS,
            **outcomes(caffe2=Cannot("attention", "--attention=1 needs --engine=pytorch", "--engine=pytorch only")),
        },
    ),
    of_a_model(
        "export",
        "Caffe2's nets and predictor export, run by the engine",
        export("{out}/predict_net.pb", "{out}/net.mdl"),
        check=checks.exported_nets_compute_the_same,
    ),
    of_a_model(
        "convert_state_dict",
        "a training's .mdl as .pth, and that as .pkl",
        train(),
        convert("{out}/run_1.mdl", "{out}/converted.pth"),
        convert("{out}/converted.pth", "{out}/again.pkl"),
        test("{out}/run_1.mdl", scores="whole.npz"),
        test("{out}/converted.pth"),
        test("{out}/again.pkl", scores="again.npz"),
        check=checks.converts_there_and_back,
    ),
    of_a_model(
        "finetune",
        "a folder of class folders, then predict with the checkpoint",
        Command(
            "finetune",
            (
                "{full_folders}", "--load_model_path={rgb_pkl}", "--file_store_path={out}/own", *ON_CPU,
                "--engine={engine}", "--clip_length_rgb=4", "--scale_h=112", "--scale_w=120", "--num_epochs=1",
                "--batch_size=2",
            ),
        ),
        Command(
            "predict",
            (
                "{full_folders}/class 1/1.avi", "--load_model_path={out}/own/finetuned_best.pkl", *ON_CPU,
                "--top_k=5", "--output={out}/predictions.json",
            ),
        ),
        check=checks.fine_tunes_from_folders,
        outcomes={**ONE_PROCESS, **outcomes(pytorch=SLOW)},
    ),
]  # fmt: skip
