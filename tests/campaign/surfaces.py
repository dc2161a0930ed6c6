"""The kinds of file that the tools read, each with how such files go wrong and the reading itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from tests.campaign import tool_readings
from tests.campaign.mutations import net_mutations
from tests.campaign.mutations.array_mutations import feature_archives, npys, score_archives
from tests.campaign.mutations.checkpoint_mutations import feature_pickles, mdls, pickles
from tests.campaign.mutations.drawing import Mutator
from tests.campaign.mutations.hdf5_mutations import hdf5s
from tests.campaign.mutations.lmdb_mutations import lmdbs
from tests.campaign.mutations.record_mutations import records
from tests.campaign.mutations.state_dict_mutations import old_states, safetensors, zipped_states
from tests.campaign.mutations.text_mutations import jsons, tables
from tests.campaign.mutations.video_mutations import containers, images, sounding
from tests.campaign.readings import read_image, read_lmdb, read_record, read_sound, read_video
from tests.engines.real_caffe2 import HAS_OPERATORS
from tests.support.in_process import tool
from vmz.cli.test_net import configuration as evaluation_settings


@dataclass(frozen=True)
class Surface:
    """make: (seed, number) -> the file. read: what a tool does with the file at a path; it may raise what main may.

    engines: whose readers read it, where both have one; `read` then takes the engine too, and returns what it found.
    video: the video or image in a file, for FFmpeg itself to read.
    """

    name: str
    suffix: str
    make: Mutator
    read: Callable[..., object]
    engines: Sequence[str] = ("",)
    video: Optional[Callable[[bytes], bytes]] = None


def _convert(db_type: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from vmz.settings.self_description import read_description

        other = "mdl" if db_type == "pickle" else "pkl"
        given = [f"--load_model_path={path}", f"--db_type={db_type}", f"--save_model_path={path.parent}/out.{other}"]
        tool("minidb_to_pickle.py")(given)
        return read_description(str(path), db_type)

    return read


def _state_dict(path: Path) -> object:
    """As the tools read it for its settings, and vmz convert for its tensors."""
    from vmz.settings.self_description import read_description

    read_description(str(path), eps=1e-5)
    return tool("convert.py")([str(path), f"--output={path.parent}/out.pkl"])


def _resume(path: Path) -> object:
    from vmz.training.checkpoints import placed, read
    from vmz.training.history import History

    saved = read(path, 2)
    state = placed(saved, 1, 2, 1)
    return saved.iteration, state, History.restored(saved.run["history"]) if saved.run else None


def _dense(path: Path) -> object:
    return tool("dense_prediction_aggregation.py")([f"--input_dir={path.parent}"])


def _features(path: Path) -> object:
    from vmz.features.formats.feature_files import load_features

    return load_features(path)


def _layout(path: Path) -> object:
    from vmz.features.rows import LAYOUT, RECORDS, Parts, PartWriter

    folder = path.parent / "0"
    folder.mkdir()
    path.rename(folder / LAYOUT)
    (folder / RECORDS).write_bytes(bytes(16))
    (folder / "0.bin").write_bytes(bytes(2 * 4 * 4))
    with PartWriter(folder, ["softmax"]) as writer:
        found = writer.records
    return found, [chunk.shape for chunk in Parts([folder], ["softmax"]).chunks("softmax")]


def _account(path: Path) -> object:
    from vmz.evaluation.recorded_settings import account_path, finished_account

    output = path.parent / "features.npz"
    output.write_bytes(bytes(10))
    path.rename(account_path(str(output)))
    return finished_account(str(output), {"crop_size": 112})


def _index(path: Path) -> object:
    from vmz.features.video_index import INDEX, earlier_entries, merged, reusable

    path.rename(path.parent / INDEX)
    videos = [str(path.parent / "a.mp4")]
    Path(videos[0]).write_bytes(b"video")
    entries = earlier_entries(path.parent, {"crop_size": 112}, videos, True)
    return merged(list(reusable(entries, path.parent, videos, True).values()), entries)


def _skipped(path: Path) -> object:
    from vmz.features.kept_faults import Kept
    from vmz.video.faults import BadVideo

    return Kept(path, BadVideo).update([])


def _manifest(path: Path) -> object:
    from vmz import zoo

    return [zoo.protocol_flags(row, "fast") for row in zoo.rows(path)]


def _names(path: Path) -> object:
    from vmz.file_formats.class_names import read_class_order, read_label_names

    read_class_order(path, "--classes")
    return read_label_names(path, 3)


def _list(path: Path) -> object:
    from vmz.datasets.video_lists import read_paths, read_video_list

    read_paths(path)
    return read_video_list(path, start_frames=True, video_ids=True)


def _kinetics(path: Path) -> object:
    from vmz.datasets.official_lists import Source, kinetics

    return kinetics(Source(path))


def _sports(path: Path) -> object:
    from vmz.datasets.official_lists import Source, sports1m

    return sports1m(Source(path))


def _record_names(path: Path) -> object:
    from vmz.video.database.names import NAMES, read_names

    path.rename(path.parent / NAMES)
    return read_names(str(path.parent), {"0": 10, "1": 20})


def _scores(path: Path) -> object:
    return tool("aggregate_scores.py")([str(path), "--print_per_class_metrics=1"])


def _configuration(path: Path) -> object:
    return tool("print_net.py")([f"--config={path}"])


def _settings(path: Path) -> object:
    """--config of the tools that have --save_config."""
    return evaluation_settings([f"--config={path}"])


def _old_net(flag: str) -> Callable[[Path], object]:
    """The file as one of convert_net's, beside good ones."""

    def read(path: Path) -> object:
        folder = path.parent / "net"
        folder.mkdir()
        for name, content in net_mutations.good_files().items():
            (folder / name).write_bytes(content)
        files = {"net": folder / "predict_net.pb", flag: path}
        if flag == "init_net" or (flag == "net" and path.suffix in (".pb", ".pbtxt")):
            files.setdefault("init_net", folder / "init_net.pb")
        flags = [f"--{name}={file}" for name, file in files.items()]
        return tool("convert_net.py")(
            [*flags, *(f"--output={folder}/out{ending}" for ending in (".json", ".mdl", ".pb"))]
        )

    return read


_SAVED = {"settings": {"model_name": "r3d", "model_depth": 10, "num_labels": 3, "crop_size": 112, "scale_w": 171,
                       "clip_length_rgb": 8, "crop_per_clip": 3, "aggregation": 1}, "features_only": False,
          "fast": {"crop_per_clip": 1}, "source": "own.pkl"}  # fmt: skip
_NETWORK = {"model_name": "r3d", "model_depth": 10, "num_labels": 3}
_FOLDER = {
    "config.json": {"vmz_format": 1, "network": _NETWORK, "features_only": False, "source": "own.pkl",
                    "fast": {"crop_per_clip": 1}, "metrics": {"epoch": 3, "figures": {"video@1": 0.5}}},
    "preprocessor_config.json": {"clips": {"crop_size": 112, "clip_length_rgb": 8, "crop_per_clip": 3},
                                 "mean": [110.201, 100.64, 95.9966], "std": [58.1489, 56.4701, 55.3324]},
    "labels.json": ["left", "right", "still"],
}  # fmt: skip


def _model_folder(name: str) -> Callable[[Path], object]:
    """The file as the one of this name in the folder of a model, beside good ones."""

    def read(path: Path) -> object:
        from vmz.checkpoints.folders import save_folder
        from vmz.model.card import Card

        folder = path.parent / "model"
        save_folder(folder, {"conv1_w": np.zeros((3, 3, 3, 7, 7), np.float32)}, {"saved": _SAVED}, "# a card\n")
        path.rename(folder / name)
        return Card.of_file(str(folder)).markdown()

    return read


_CONFIG = [
    {"build_args": {"model_name": "r2plus1d", "model_depth": 10, "num_labels": 3}, "is_test": 1, "net_name": "n"}
]
_SETTINGS = {
    "tool": "test_net",
    "options": {"model_name": "r3d", "clip_length_rgb": 8, "aggregation": 0, "use_pool1": 0, "num_gpus": None,
                "channel_multiplier": 0.5, "label_names": "names.txt", "zoo": "r2plus1d_d18_l8"},
}  # fmt: skip
_MODEL = {"model_name": "r3d", "clip_length_rgb": 8, "zoo": "r2plus1d_d18_l8", "use_pool1": 0}
_PREDICTION = {
    **_MODEL,
    "num_gpus": None,
    "top_k": 3,
    "views": "one",
    "stride_seconds": 0.5,
    "label_names": "names.txt",
}
_COMMANDS = {
    "predict": {"options": {**_PREDICTION, "videos": ["a.mp4", "b.mp4"], "attention": 0, "annotate": "shown"}},
    "export": {"options": {**_MODEL, "output": ["a.onnx", "b.pb"], "verify": 1}},
    "serve": {"options": {**_PREDICTION, "port": 8000, "host": "127.0.0.1", "allow_host": ["a.b"], "queue": 4}},
}
_INDEX = {
    "videos": [{"path": "/v/b.mp4", "bytes": 5, "content": "00", "file": "b.mp4.npz", "clips": 2, "frames": 9}],
    "settings": {"crop_size": 112},
}
_ACCOUNT = {
    "bytes": 10, "settings": {"crop_size": 112}, "videos": 3, "shapes": {"softmax": [3, 4]}, "skipped": [],
    "ended_early": [], "sanity": None,
}  # fmt: skip
_BAD = [{"key": "3", "path": "a.mp4", "reason": "no frame", "line": 3, "list_file": "val.csv"}]
_LIST = [["org_video", "label", "start_frm", "video_id"], ["a.mp4", "0", "3", "5"], ["b c.mp4", "1", "4", "6"]]
_KINETICS = [["label", "youtube_id", "time_start", "time_end"], ["run", "abc", "1", "11"], ["swim", "def", "2", "12"]]


def _first_model() -> object:
    from vmz import zoo

    whole = dict(zoo.manifest())
    return {**whole, "models": whole["models"][:2]}


def _held_video(value: bytes) -> bytes:
    from vmz.video.database.records import RecordError, decode_record

    try:
        return decode_record(b"", value).video
    except RecordError:
        return b""


ENGINES = ("pytorch", "caffe2") if HAS_OPERATORS else ("pytorch",)
READERS: Sequence[Surface] = (
    Surface("record", ".bin", records, read_record, ENGINES, _held_video),
    Surface("LMDB", ".mdb", lmdbs, read_lmdb, ENGINES),
    Surface("container", ".bin", containers, read_video, ENGINES, bytes),
    Surface("sound", ".bin", sounding, read_sound, ENGINES, bytes),
    Surface("image", ".bin", images, read_image, ENGINES, bytes),
)
SURFACES: Sequence[Surface] = (
    Surface("pickle", ".pkl", pickles, _convert("pickle")),
    Surface("mdl", ".mdl", mdls, _convert("minidb")),
    Surface("training state", ".mdl", mdls, _resume),
    Surface("state dict zip", ".pth", zipped_states, _state_dict),
    Surface("state dict of old", ".pth", old_states, _state_dict),
    Surface("weights zip", ".pth", zipped_states, tool_readings.read_model),
    *(
        [
            Surface("safetensors", ".safetensors", safetensors, _state_dict),
            Surface("weights safetensors", ".safetensors", safetensors, tool_readings.read_model),
            *(
                Surface(f"model folder {name}", ".json", jsons(content), _model_folder(name))
                for name, content in _FOLDER.items()
            ),
        ]
        if find_spec("safetensors")
        else []
    ),
    Surface("scores npz", ".npz", score_archives, _scores),
    Surface("features npz", ".npz", feature_archives, _dense),
    Surface("features npy", ".npy", npys, _features),
    Surface("features pickle", ".pkl", feature_pickles, _dense),
    Surface("features HDF5", ".h5", hdf5s, _dense),
    Surface("layout.json", ".json", jsons({"softmax": ["<f4", [4]]}), _layout),
    Surface("account", ".json", jsons(_ACCOUNT), _account),
    Surface("index.json", ".json", jsons(_INDEX), _index),
    Surface("skipped.json", ".json", jsons(_BAD), _skipped),
    Surface("configuration", ".json", jsons(_CONFIG), _configuration),
    Surface("settings", ".json", jsons(_SETTINGS), _settings),
    *(
        Surface(
            f"settings of {command}", ".json", jsons({**_SETTINGS, **more}), tool_readings.read_settings_of(command)
        )
        for command, more in _COMMANDS.items()
    ),
    Surface("fetched.json", ".json", jsons(tool_readings.FETCHED), tool_readings.read_fetched),
    Surface("part.json", ".json", jsons(tool_readings.PART), tool_readings.read_part),
    Surface("finetune.json", ".json", jsons(tool_readings.FINETUNED), tool_readings.read_finetuned),
    Surface("manifest", ".json", lambda seed, number: jsons(_first_model())(seed, number), _manifest),
    Surface("predict_net.pb", ".pb", net_mutations.predict_nets, _old_net("net")),
    Surface("predict_net text", ".pbtxt", net_mutations.text_nets, _old_net("net")),
    Surface("net JSON", ".json", net_mutations.json_nets, _old_net("net")),
    Surface("net export", ".mdl", net_mutations.exports, _old_net("net")),
    Surface("init_net.pb", ".pb", net_mutations.init_nets, _old_net("init_net")),
    Surface("workspace", ".pkl", net_mutations.workspaces, _old_net("weights")),
    Surface("Save minidb", ".minidb", net_mutations.saved_minidbs, _old_net("weights")),
    Surface("names JSON", ".json", jsons(["a", "b", "c"]), _names),
    Surface("names CSV", ".csv", tables([["label", "name"], ["0", "a"], ["1", "b"], ["2", "c"]]), _names),
    Surface("names text", ".txt", tables([["0", "a"], ["1", "b"], ["2", "c"]], " "), _names),
    Surface("video list", ".csv", tables(_LIST), _list),
    Surface("plain list", ".txt", tables([row[:2] for row in _LIST[1:]], " "), _list),
    Surface("data list", ".csv", tables(tool_readings.LIST), tool_readings.read_data),
    Surface("finetune list", ".csv", tables(tool_readings.LIST), tool_readings.read_split),
    Surface("class folders", ".txt", tables(tool_readings.FOLDERS, "/"), tool_readings.read_class_folders),
    Surface("films list", ".txt", tables(tool_readings.FILMS), tool_readings.read_films),
    Surface("kinetics list", ".csv", tables(_KINETICS), _kinetics),
    Surface("sports1m list", ".txt", tables([["http://y.com/watch?v=ab", "1,2"]] * 3, " "), _sports),
    Surface(
        "names.csv",
        ".csv",
        tables([["key", "bytes", "list", "line", "video"], ["0", "10", "l", "2", "a"], ["1", "20", "l", "3", "b"]]),
        _record_names,
    ),
    *READERS,
)
