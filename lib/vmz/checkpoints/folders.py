"""A model as a folder in the Hugging Face manner: what it is as JSON, its weights as safetensors, a card for people.

config.json: the network, and where it comes from. preprocessor_config.json: how clips are drawn from a video.
labels.json: the names of the classes, where they are known. model.safetensors: the blobs, by name without scope. All
settings have the names of the tools' flags.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.checkpoints.about import FIGURES, SAVED
from vmz.checkpoints.safetensors_files import check_package, read_safetensors, save_safetensors
from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import read_json
from vmz.files import atomic_write, disk_trouble, published, remove_temporary, temporary_folder_beside, write_json
from vmz.models.config import ModelConfig
from vmz.netdef.video_outputs import RGB, WITH_RGB
from vmz.outputs import Output, in_progress
from vmz.text import printable, quoted
from vmz.video.normalisation import MEAN, STD

CONFIG, CLIPS, LABELS, WEIGHTS, CARD = FILES = (
    "config.json", "preprocessor_config.json", "labels.json", "model.safetensors", "README.md",
)  # fmt: skip
FORMAT = 1  # of the JSON files
_NETWORK = {field.name for field in dataclasses.fields(ModelConfig)} - {"crop_size"} | {"input_type"}
_ORIGIN = {name: form for name, form in SAVED.items() if name != "settings"}
_CONFIG = {"vmz_format": int, "network": dict, "metrics?": FIGURES, **_ORIGIN}
_CLIPS = {"clips": dict, "mean?": [float], "std?": [float]}
_REMEDY = "restore the file, or save the model again"
_MARK = re.compile(r"\n<!-- card made by VMZ, ([0-9a-f]{16}) -->\n\Z")


def is_model_folder(path: Union[str, Path]) -> bool:
    """Whether a folder has what `save_folder` writes."""
    return (Path(path) / CONFIG).is_file() and (Path(path) / WEIGHTS).is_file()


def read_folder(path: Union[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(blobs, what the model says about itself) of a folder.

    Raises UsageError for a folder that is none of a model, or without the package safetensors, VmzError, naming the
    file, where one of them is missing, damaged, or asks for what VMZ does not do.
    """
    folder = Path(path)
    about = read_folder_about(folder)
    blobs, _ = read_safetensors(_file(folder, WEIGHTS))
    return blobs, about


def read_folder_about(folder: Path) -> dict[str, Any]:
    """What the JSON files of a folder say, in the form that a single file of weights has it in (`about`)."""
    if (folder / "data.mdb").exists():
        raise UsageError(f"{printable(str(folder))} is an LMDB of videos, not the folder of a model; give a checkpoint")
    config = _read(folder, CONFIG, dict, missing="it is not a folder of a model; vmz's model.save(folder) writes one")
    if "vmz_format" not in config:
        raise UsageError(
            f"{_name(folder, CONFIG)} is not of a model of VMZ: it has no 'vmz_format'; give a folder that model.save "
            "wrote (weights of other libraries are read as single files)"
        )
    if config["vmz_format"] != FORMAT:
        raise VmzError(
            f"{_name(folder, CONFIG)} has vmz_format {quoted(config['vmz_format'])}, but this version reads {FORMAT}; "
            "update VMZ"
        )
    config = _read(folder, CONFIG, _CONFIG)
    clips = _read(folder, CLIPS, _CLIPS, missing=f"the folder is incomplete; {_REMEDY}")
    _check_normalisation(folder, config["network"], clips)
    twice = sorted(set(config["network"]) & set(clips["clips"]))
    if twice:
        raise VmzError(
            f"{_name(folder, CLIPS)} has the setting {quoted(twice[0])}, which {CONFIG} has too; keep one of them"
        )
    saved = {name.rstrip("?"): config[name.rstrip("?")] for name in _ORIGIN if name.rstrip("?") in config}
    about: dict[str, Any] = {"saved": {**saved, "settings": {**config["network"], **clips["clips"]}}}
    if "metrics" in config:
        about["metrics"] = config["metrics"]
    if (folder / LABELS).exists():
        about["labels"] = _read(folder, LABELS, [str])
    return about


def save_folder(
    path: Union[str, Path], blobs: Mapping[str, np.ndarray], about: Mapping[str, Any], card: str
) -> Optional[str]:
    """Write a model as a folder, which is made, or is empty, or one of a model, whose files are replaced.

    A new folder appears whole or not at all. A card that somebody has changed stays, which is what the returned
    sentence says. Raises UsageError for a folder with other things in it and without the package safetensors.
    """
    folder = Path(os.path.realpath(path))
    check_package(Path(path))
    check_folder(path)
    with in_progress(Output("the model's folder", path, new=True)), disk_trouble(path):
        if not folder.is_dir():
            temporary = temporary_folder_beside(folder)
            try:
                _write(Path(temporary), blobs, about, card)
                os.rename(temporary, folder)
                published(temporary)
            except BaseException:
                remove_temporary(temporary)
                raise
            return None
        kept = _is_own_text(folder / CARD)
        _write(folder, blobs, about, None if kept else card)
        return f"{Path(path) / CARD} is not the text that VMZ wrote; it is kept as it is" if kept else None


def check_folder(path: Union[str, Path]) -> None:
    """Raise UsageError where a model cannot be saved as the folder `path`, because something else is there."""
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{printable(str(path))} is a file; give a folder, or a file *.pkl, *.mdl or *.safetensors")
    if folder.is_dir() and not is_model_folder(folder):
        others = sorted(entry for entry in os.listdir(folder) if not entry.startswith("."))
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise UsageError(
                f"{printable(str(path))} is not a folder of a model, and it is not empty: it contains "
                f"{printable(others[0])}{more}; give another folder"
            )


def _write(folder: Path, blobs: Mapping[str, np.ndarray], about: Mapping[str, Any], card: Optional[str]) -> None:
    """The weights first: they say all about themselves, too, so that they alone are the model."""
    saved = dict(about.get("saved", {}))
    settings = saved.pop("settings", {})
    network = {name: value for name, value in settings.items() if name in _NETWORK}
    clips: dict[str, Any] = {"clips": {name: value for name, value in settings.items() if name not in _NETWORK}}
    if network.get("input_type", RGB) in WITH_RGB:
        clips.update(mean=_numbers(MEAN), std=_numbers(STD))
    save_safetensors(folder / WEIGHTS, blobs, about)
    metrics = {"metrics": about["metrics"]} if about.get("metrics") else {}
    write_json(folder / CONFIG, {"vmz_format": FORMAT, "network": network, **saved, **metrics})
    write_json(folder / CLIPS, clips)
    if about.get("labels"):
        write_json(folder / LABELS, list(about["labels"]))
    elif (folder / LABELS).exists():
        (folder / LABELS).unlink()  # of the model that was here before
    if card is not None:
        with atomic_write(folder / CARD) as stream:
            stream.write(_marked(card).encode("utf-8"))


def _marked(card: str) -> str:
    """A card with what tells whether somebody has changed it."""
    return f"{card}\n<!-- card made by VMZ, {_digest(card)} -->\n"


def _is_own_text(path: Path) -> bool:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError):
        return True
    found = _MARK.search(text)
    return found is None or _digest(text[: found.start()]) != found[1]


def _digest(card: str) -> str:
    return hashlib.sha256(card.encode("utf-8")).hexdigest()[:16]


def _read(folder: Path, name: str, form: Any, missing: str = _REMEDY) -> Any:
    path = folder / name
    if not path.is_file():
        kind = UsageError if name == CONFIG else VmzError
        raise kind(f"{_name(folder, name)} does not exist; {missing}")
    return read_json(path, _name(folder, name), form, VmzError, _REMEDY)


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise VmzError(f"{_name(folder, name)} does not exist; {_REMEDY}")
    return folder / name


def _name(folder: Path, name: str) -> str:
    return printable(str(folder / name))


def _check_normalisation(folder: Path, network: Mapping[str, Any], clips: Mapping[str, Any]) -> None:
    if network.get("input_type", RGB) not in WITH_RGB:
        return
    for name, ours in (("mean", MEAN), ("std", STD)):
        theirs = clips.get(name)
        if theirs is not None and theirs != _numbers(ours):
            raise VmzError(
                f"{_name(folder, CLIPS)} has {name} {json.dumps(theirs)}, but VMZ's reader normalises pixels with "
                f"{json.dumps(_numbers(ours))}; clips for this model cannot be read"
            )


def _numbers(array: np.ndarray) -> list[float]:
    """The shortest decimals that make these float32."""
    return [float(str(one)) for one in array]


def warn(sentence: Optional[str]) -> None:
    """Show what `save_folder` returned."""
    if sentence:
        warnings.warn(sentence, stacklevel=4)
