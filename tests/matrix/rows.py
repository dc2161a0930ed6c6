"""The table: what each tool does on each engine, in one process and in two. A new row is tested and documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.matrix import checks
from tests.matrix.cells import ALONE, SLOW, Cannot, Command, Row, outcomes
from tests.matrix.commands import (
    ALL_SLOW,
    AUDIO_VISUAL,
    CONVOLUTIONAL,
    FLOW,
    H5PY,
    IMAGES,
    NETWORK,
    NEW_TORCH,
    NO_START,
    ONE_PROCESS,
    READER,
    SLOW_TOGETHER,
    SOUND,
    dump,
    extract,
    films,
    test,
    train,
)
from tests.matrix.rows_of_models import MODELS
from tests.matrix.rows_of_training import TRAINING


def testing(
    name: str, feature: str, *commands: Command, check: Callable[..., None] = checks.scores_agree, **more: Any
) -> Row:
    return Row(name, commands[0].tool, feature, commands, check, **more)


TESTING = [
    testing("test", "one crop per clip, scores saved (--save_scores)", test("rgb_pkl")),
    testing(
        "test_maximum",
        "maximum over clips (--aggregation=1)",
        test("rgb_pkl", "--aggregation=1"),
        outcomes=ALL_SLOW,
    ),
    testing("test_crops", "three crops per clip", test("rgb_pkl", "--crop_per_clip=3", "--video_res_type=1")),
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
    testing(
        "test_bf16",
        "in 16 bits (--precision=bf16)",
        test("rgb_pkl", scores="whole.npz"),
        test("rgb_pkl", "--precision=bf16"),
        check=checks.nearly_equals,
        needs=NEW_TORCH,
        outcomes={
            **SLOW_TOGETHER,
            **outcomes(
                caffe2=Cannot("precision", "--precision=bf16 needs --engine=pytorch", "--engine=caffe2 takes fp32"),
                caffe2_2=Cannot("precision", "--precision=bf16 needs --engine=pytorch", "--engine=caffe2 takes fp32"),
            ),
        },
    ),
    testing("test_multi", "several labels per video", test("multi_pkl", "--multi_label=1"), outcomes=SLOW_TOGETHER),
    testing("test_flow", "on optical flow", test("flow_pkl", *FLOW), outcomes=SLOW_TOGETHER),
    testing(
        "test_images",
        "on images",
        test("images_pkl", *IMAGES, "--clip_per_video=1", data="pictures"),
        outcomes=SLOW_TOGETHER,
    ),
    testing("test_sound", "on sound alone", test("sound_pkl", *SOUND, data="sounding"), outcomes=SLOW_TOGETHER),
    testing(
        "test_av",
        "on pictures and sound, three crops per clip",
        test("av_pkl", *AUDIO_VISUAL, "--crop_per_clip=3", "--video_res_type=1", data="sounding"),
    ),
    testing(
        "test_av_large",
        "on pictures and sound, fully convolutional, crops in slices",
        test(
            "av_pkl",
            *AUDIO_VISUAL,
            *CONVOLUTIONAL,
            "--crop_per_inference=4",
            "--crop_per_clip=3",
            "--video_res_type=1",
            tool="test_net_large",
            data="sounding",
        ),
        test(
            "av_pkl",
            *AUDIO_VISUAL,
            *CONVOLUTIONAL,
            "--crop_per_clip=3",
            "--video_res_type=1",
            data="sounding",
            scores="whole.npz",
        ),
        check=checks.slices_agree,
        outcomes=SLOW_TOGETHER,
    ),
    testing(
        "test_sound_multi",
        "on sound alone, several labels per video, clips in slices",
        test(
            "sound_multi_pkl",
            *SOUND,
            "--multi_label=1",
            "--crop_per_inference=1",
            tool="test_net_large",
            data="sounding",
        ),
        test("sound_multi_pkl", *SOUND, "--multi_label=1", data="sounding", scores="whole.npz"),
        check=checks.slices_agree,
        outcomes=SLOW_TOGETHER,
    ),
    testing(
        "test_av_multi",
        "on pictures and sound, several labels per video, fully convolutional",
        test("av_multi_pkl", *AUDIO_VISUAL, *CONVOLUTIONAL, "--multi_label=1", data="sounding"),
        outcomes=SLOW_TOGETHER,
    ),
    testing(
        "test_list",
        "on a list of videos (.csv), without an LMDB",
        test("rgb_pkl", data="lmdb_of_list", scores="whole.npz"),
        test("rgb_pkl", data="list_csv"),
        check=checks.equals_the_lmdb,
    ),
    testing(
        "test_folder",
        "on a folder of class folders, without an LMDB",
        test("rgb_pkl", data="lmdb_of_folders", scores="whole.npz"),
        test("rgb_pkl", data="class_folders"),
        check=checks.equals_the_lmdb,
        outcomes=SLOW_TOGETHER,
    ),
    testing("test_fps", "frames at a rate (--fps)", test("rgb_pkl", "--fps=12"), outcomes=SLOW_TOGETHER),
    testing("test_mdl", "a training .mdl", test("state_mdl"), outcomes=SLOW_TOGETHER),
    testing(
        "aggregate",
        "aggregate_scores on saved scores",
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
        "features_h5",
        "from a database, as HDF5",
        extract(ending=".h5"),
        check=checks.formats_agree,
        needs=H5PY,
        outcomes=SLOW_TOGETHER,
    ),
    extraction(
        "features_uniform",
        "evenly spaced clips",
        extract("--decode_type=1", "--clip_per_video=2", *NO_START),
        outcomes=ALL_SLOW,
    ),
    extraction(
        "features_random",
        "a random clip from the seed",
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
    extraction(
        "features_av",
        "of pictures and sound",
        extract(
            *AUDIO_VISUAL,
            "--load_model_path={av_pkl}",
            "--features=av_concat,softmax,label,video_id,start_frame",
            data="sounding",
        ),
        outcomes=SLOW_TOGETHER,
    ),
    extraction(
        "features_list",
        "of a list of videos (.csv), without an LMDB",
        extract(data="list_csv"),
        outcomes=SLOW_TOGETHER,
    ),
    extraction(
        "features_fps",
        "frames at a rate (--fps)",
        extract("--fps=12", "--decode_type=1", *NO_START),
        outcomes=SLOW_TOGETHER,
    ),
    extraction("films", "along untrimmed videos (--videos), as .npz", films("npz")),
    extraction(
        "films_pkl",
        "along untrimmed videos, as the original's pickle",
        films("pickle"),
        check=checks.formats_agree,
        outcomes=SLOW_TOGETHER,
    ),
    extraction(
        "films_h5",
        "along untrimmed videos, as HDF5",
        films("hdf5"),
        check=checks.formats_agree,
        needs=H5PY,
        outcomes=SLOW_TOGETHER,
    ),
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
    looking("dump_list", "dump_clips", "clips of a list (.csv)", dump(data="list_csv"), check=checks.clips_agree),
    looking("dump_fps", "dump_clips", "frames at a rate (--fps)", dump("--fps=12"), check=checks.clips_agree),
    looking("dump_flow", "dump_clips", "optical flow", dump("--input_type=1"), check=checks.flow_agrees),
    looking(
        "dump_av",
        "dump_clips",
        "pictures and sound",
        dump("--input_type=3", data="sounding"),
        check=checks.sound_agrees,
    ),
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
        "compare_av",
        "compare_engines",
        "every blob of a network, on videos with sound",
        Command(
            "compare_engines",
            (
                *NETWORK,
                *READER,
                *AUDIO_VISUAL,
                "--load_model_path={av_pkl}",
                "--test_data={sounding}",
                "--output={out}/blobs.json",
            ),
        ),
        check=checks.all_blobs_agree,
        both=True,
        outcomes=outcomes(pytorch=SLOW, caffe2=SLOW, pytorch_2=ALONE, caffe2_2=ALONE),
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
        "a training .mdl",
        train(),
        Command("minidb_to_pickle", ("--load_model_path={out}/run_1.mdl", "--save_model_path={out}/converted.pkl")),
        test("{out}/run_1.mdl", scores="whole.npz"),
        test("{out}/converted.pkl"),
        check=checks.converts,
    ),
]

ROWS = [*TRAINING, *TESTING, *FEATURES, *MODELS, *LOOKING]
