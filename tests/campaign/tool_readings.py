"""What the tools make of files that name data, or that a run left for a later one: each as the tool reads it."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Callable

from tests.campaign.mutations.video_files import VIDEOS, good
from tests.support.in_process import tool

LIST = [
    ["org_video", "label", "start_frm"],
    *(["a.mp4", "run", "0"], ["b c.mp4", "run", "2"], ["d.mp4", "swim", "1"], ["e.mp4", "swim", "1"]),
]
FOLDERS = [["run", "a.mp4"], ["run", "b.mp4"], ["swim", "c.mp4"], ["swim", "d.mp4"]]
FILMS = [["a.mp4"], ["b c.mp4"], ["*.mp4"]]
FETCHED = {
    "r2df_d18_l8.pkl": {"bytes": 3, "sha256": "0" * 64, "source": "http://a/b", "fetched": "2026-01-01T00:00:00+00:00"}
}
PART = {"source": "http://127.0.0.1:9/a", "validator": '"a"'}
FINETUNED = {"settings": [{"flag": "num_epochs", "value": 3, "reason": "few videos"}]}
_FEW = ("--clip_length_rgb=2", "--crop_size=32", "--scale_h=32", "--scale_w=40", "--num_batches=1", "--batch_size=2")


def read_data(path: Path) -> object:
    """A list, as data of a tool that decodes it."""
    _films(path.parent)
    return tool("dump_clips.py")([f"--test_data={path}", *_FEW, "--num_decode_threads=1"])


def read_films(path: Path) -> object:
    """A list that vmz predict is given."""
    from vmz.datasets.named_videos import find_videos

    _films(path.parent)
    return find_videos([str(path)], "VIDEO")


def read_split(path: Path) -> object:
    """A list, as data of vmz finetune."""
    from vmz.datasets.class_folders import read_videos
    from vmz.finetuning.split import split, write_list

    parts = split(read_videos(path), 0.3, 1)
    write_list(path.parent / "train.csv", parts.train)
    return parts


def read_class_folders(path: Path) -> object:
    """Class folders of the names in the file, as data of vmz finetune."""
    root = path.parent / "folders"
    root.mkdir()
    for line in path.read_bytes().splitlines():
        name = os.fsencode(root) + b"/" + line
        if b".." in line or len(line) > 2000:
            continue
        try:
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "wb") as stream:
                stream.write(b"video")
        except (OSError, ValueError):  # no name for this system
            continue
    with contextlib.redirect_stderr(io.StringIO()):  # what it says of files that it leaves out is no error
        return read_split(root)


def read_fetched(path: Path) -> object:
    """The record of the cache."""
    from vmz import zoo
    from vmz.zoo.cache import RECORD

    path.rename(path.parent / RECORD)
    (path.parent / "r2df_d18_l8.pkl").write_bytes(b"abc")
    os.environ["VMZ_CACHE"] = str(path.parent)
    return zoo.verify(zoo.find("r2df_d18_l8"))


def read_part(path: Path) -> object:
    """What a cut download left beside its part."""
    from vmz.zoo.download import Patience, download

    path.rename(path.parent / ".a.part.json")
    (path.parent / ".a.part").write_bytes(b"abc")
    quick = Patience(attempts=1, seconds=1, pause=0)
    return download(["http://127.0.0.1:9/a"], path.parent / "a", patience=quick)


def read_finetuned(path: Path) -> object:
    """The settings of a fine-tuning that is resumed."""
    from vmz.cli.finetune import kept_settings

    return kept_settings(path)


def read_settings_of(command: str) -> Callable[[Path], object]:
    """--config of vmz predict, export or serve."""

    def read(path: Path) -> object:
        import importlib

        return importlib.import_module(f"vmz.cli.{command}").configuration([f"--config={path}"])

    return read


def read_model(path: Path) -> object:
    """A file of weights, of whatever layout, as vmz.load_model takes it."""
    import vmz

    return vmz.load_model(str(path), device="cpu", eps=1e-5)


def _films(folder: Path) -> None:
    """The videos that the lists name, beside the list and where the tool is started."""
    for place in (folder, Path.cwd()):
        for name in ("a.mp4", "b c.mp4", "d.mp4", "e.mp4"):
            (place / name).write_bytes(good(VIDEOS[0]))
