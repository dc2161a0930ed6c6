"""Lists and folders of class folders in place of an LMDB: the same figures, to the bit, on both engines."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import run_tool
from tests.support.in_process import tool
from tests.support.listed_videos import CLASSES, SameVideos, left_behind, same_videos
from vmz.checkpoints.loading import load
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli.test_net import configuration
from vmz.datasets.listed_data import listed_data
from vmz.errors import UsageError, VmzError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.run import evaluate
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.fingerprint import fingerprint
from vmz.video.database.lmdb_database import VideoDatabase

NETWORK = (
    "--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.05", "--clip_length_rgb=4", "--num_gpus=0",
    "--num_decode_threads=1", "--scale_h=112", "--scale_w=120", "--video_res_type=0",
)  # fmt: skip
TEST = (*NETWORK, "--clip_per_video=2", "--top_k=2", "--check_data=0")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> SameVideos:
    return same_videos(tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Of a network of three classes and of one of five, by their number."""
    found = {}
    for labels in (3, 5):
        config = ModelConfig("r2d", 10, labels, clip_length=4, channel_multiplier=0.05)
        model = build(config)
        found[labels] = tmp_path_factory.mktemp("weights") / f"{labels}.pkl"
        save_pickle(found[labels], seeded_weights([*model.params, *model.computed_params]))
    return found


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield
    assert left_behind() == []


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as found:
        return {name: found[name] for name in found.files if name not in ("database", "made_by")}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], *but: str) -> None:
    assert one.keys() == other.keys()
    for name in one.keys() - set(but):
        assert one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]), name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("sliced", [(), ("--crop_per_inference=1",)], ids=["whole", "sliced"])
def test_scores_equal_those_through_the_lmdb(
    engine: str, sliced: tuple[str, ...], videos: SameVideos, weights: dict[int, Path], tmp_path: Path
) -> None:
    found: list[dict[str, np.ndarray]] = []
    for name, more in (("lmdb", ()), ("by_path", ("--use_local_file=1",)), ("list", ()), ("folder", ())):
        data, scores, output = getattr(videos, name), tmp_path / f"{name}.npz", tmp_path / f"{name}.json"
        flags = [f"--test_data={data}", f"--load_model_path={weights[3]}", f"--save_scores={scores}"]
        flags += [f"--output={output}", f"--report={tmp_path / name}.html", f"--engine={engine}", *sliced, *more]
        assert tool("test_net.py")([*TEST, *flags]) == 0
        found.append(arrays(scores))
        result = json.loads(output.read_text())
        assert result["options"]["test_data"] == str(data) and result["videos"] == 6
        assert result["options"]["use_local_file"] == len(more)
        listed = name in ("list", "folder")
        assert result["label_names"] == (list(CLASSES) if listed else None)
        with np.load(scores) as kept:
            assert str(kept["database"]) == os.path.realpath(data)
        page = (tmp_path / f"{name}.html").read_text()
        assert ".vmz_list" not in page and f" on {data.name}" in page and listed == ("bowling</" in page)
    names = [np.char.array(one.pop("label_names")) if "label_names" in one else None for one in found]
    assert [None if one is None else tuple(one) for one in names] == [None, None, CLASSES, CLASSES]
    for other in found[1:]:
        same(found[0], other)
    assert len(found[0]["key"]) == 12 and len(np.unique(found[0]["softmax"])) > 12


@pytest.mark.parametrize("engine", ENGINES)
def test_features_and_clips_equal_those_through_the_lmdb(
    engine: str, videos: SameVideos, weights: dict[int, Path], tmp_path: Path
) -> None:
    """From start frames and with ids, which a list may have; of the folder, evenly spaced clips."""
    names = "final_avg,softmax,label,video_id,start_frame"
    starts = (f"--features={names}", "--get_video_id=1", "--get_start_frame=1")
    even = ("--features=final_avg,softmax,label", "--decode_type=1")
    extract, dump = tool("extract_features.py"), tool("dump_clips.py")
    for flags, both in ((starts, ("by_path", "list")), (even, ("by_path", "folder"))):
        found = []
        for name in both:
            output, more = tmp_path / f"{name}_{len(flags)}.npz", ["--use_local_file=1"] if name == "by_path" else []
            given = [*NETWORK, f"--test_data={getattr(videos, name)}", f"--load_model_path={weights[5]}", *flags, *more]
            extract([*given, f"--output_path={output}", f"--engine={engine}"])
            found.append(arrays(output))
        same(found[0], found[1])
        assert sorted(found[0]["label"]) == [0, 0, 1, 1, 2, 2]
    found = []
    for name, more in (("by_path", ["--use_local_file=1"]), ("list", []), ("folder", [])):
        output = tmp_path / f"{name}_clips.npz"
        reader = [flag for flag in NETWORK if flag.startswith(("--scale", "--clip", "--video_res", "--num_decode"))]
        asked = [f"--test_data={getattr(videos, name)}", "--num_batches=0", f"--output={output}", f"--engine={engine}"]
        assert dump([*reader, *asked, "--clip_per_video=2", "--batch_size=4", *more]) == 0
        found.append(arrays(output))
    same(found[0], found[1])
    same(found[0], found[2])
    assert found[0]["data"].shape == (12, 3, 4, 112, 112)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_extraction_goes_on_with_the_list_of_its_database(
    engine: str, videos: SameVideos, weights: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same records are the same data; another list is not."""
    flags = [*NETWORK, f"--load_model_path={weights[5]}", "--features=final_avg,label", "--decode_type=1"]
    flags += [f"--output_path={tmp_path / 'features.npz'}", f"--engine={engine}"]
    extract = tool("extract_features.py")
    assert extract([*flags, f"--test_data={videos.folder}"]) == 0
    for data, more in ((videos.list, []), (videos.by_path, ["--use_local_file=1"])):
        if data == videos.by_path:  # its records have start frames, which the folder has not
            with pytest.raises(UsageError, match=r"with other settings \(test_data: 6 records"):
                extract([*flags, f"--test_data={data}", *more])
            continue
        assert extract([*flags, f"--test_data={data}", *more]) == 0
        assert "nothing to do" in capsys.readouterr().out
    (shorter := tmp_path / "shorter.csv").write_text("".join(videos.list.read_text().splitlines(True)[:-1]))
    with pytest.raises(UsageError, match=r"with other settings \(test_data: 6 records, .*, now 5 records"):
        extract([*flags, f"--test_data={shorter}"])


TRAIN = (
    *NETWORK, "--batch_size=2", "--epoch_size=0", "--num_epochs=1", "--base_learning_rate=0.01", "--test_batch_size=4",
    "--save_model_name=run", "--test_clip_per_video=2", "--shuffle=1", "--deterministic=1",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_training_on_a_folder_equals_training_on_the_lmdb(
    engine: str, videos: SameVideos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves a checkpoint that names the classes, by which others of its data are numbered."""
    train, test = tool("train_net.py"), tool("test_net.py")
    found, results = [], []
    for name, data, tested in (
        ("lmdb", videos.lmdb, videos.lmdb),
        ("folder", videos.folder, videos.list),
        ("mixed", videos.lmdb, videos.list),
    ):
        store, output = tmp_path / name, tmp_path / f"{name}.json"
        labels = [] if name == "folder" else ["--num_labels=3"]
        flags = [f"--train_data={data}", f"--test_data={tested}", f"--file_store_path={store}", f"--output={output}"]
        assert train([*TRAIN, *flags, *labels, f"--engine={engine}", "--get_video_id=0"]) == 0
        found.append(load(store / "run_best.pkl"))
        results.append(json.loads(output.read_text()))
        printed = capsys.readouterr().out
        said = f"note: --num_labels=3, the classes of --train_data={data}" in printed
        assert said == (name == "folder")
    for other in found[1:]:
        same(dict(found[0].blobs), dict(other.blobs))
    assert [one.about["labels"] for one in found] == [None, list(CLASSES), None]
    assert results[1]["options"]["train_data"] == str(videos.folder) and results[1]["options"]["num_labels"] == 3
    assert [one["epochs"][0]["figures"] for one in results] == [results[0]["epochs"][0]["figures"]] * 3
    assert [one["epochs"][0]["iteration"] for one in results] == [3, 3, 3]

    part = tmp_path / "part.csv"  # two of the three classes, so that alphabetical numbers would be others
    part.write_text("".join(f'"{row}\n' for row in _rows(videos, "run", "yoga")))
    scores = tmp_path / "part.npz"
    flags = [f"--load_model_path={tmp_path / 'folder' / 'run_best.pkl'}", f"--test_data={part}", "--top_k=2"]
    assert test([*flags, f"--save_scores={scores}", f"--engine={engine}", "--num_gpus=0", "--check_data=0"]) == 0
    assert sorted(arrays(scores)["label"].tolist()) == [1] * 4 + [2] * 4
    assert "numbered in the order of the checkpoint" in capsys.readouterr().out
    part.write_text(part.read_text().replace(",yoga", ",ski"))
    with pytest.raises(UsageError, match=r"line 3 of .*part.csv has the class 'ski', not one of the 3 of the check"):
        test([*flags, f"--engine={engine}", "--num_gpus=0"])


def _rows(videos: SameVideos, *names: str) -> list[str]:
    rows = (row.lstrip('"').rsplit(",", 2)[0] for row in videos.list.read_text().splitlines()[1:])
    return [row for row in rows if row.endswith(names)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_resumes_with_its_list_only(engine: str, videos: SameVideos, tmp_path: Path) -> None:
    """A comment changes nothing; another order of the rows does."""
    train, own = tool("train_net.py"), tmp_path / "own.csv"
    own.write_text(videos.list.read_text())
    flags = [*TRAIN, f"--train_data={own}", f"--file_store_path={tmp_path}", f"--engine={engine}", "--resume=1"]
    assert train(flags) == 0
    own.write_text(videos.list.read_text() + "# a comment\n")
    assert train([*flags, "--num_epochs=2"]) == 0
    header, *rows = videos.list.read_text().splitlines()
    own.write_text("\n".join([header, *rows[::-1]]) + "\n")
    with pytest.raises(UsageError, match=r"run_2.mdl was written by a run with other settings \(train_data: 6 records"):
        train([*flags, "--num_epochs=3"])


def bad_list(videos: SameVideos, path: Path, label: object = 0) -> Path:
    """A good video, a file that is no video, and one that is not there."""
    good = next(videos.folder.glob("run/0*"))
    path.write_text(f'org_video,label\n"{good}",0\n{videos.list},{label}\n{path.parent}/none.mp4,1\n')
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_bad_videos_are_named_by_the_list_and_counted(
    engine: str, videos: SameVideos, weights: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = bad_list(videos, tmp_path / "val.csv"), tmp_path / "out.json"
    flags = [*TEST, f"--test_data={path}", f"--load_model_path={weights[3]}", f"--engine={engine}"]
    test = tool("test_net.py")
    with pytest.raises(UsageError, match=r"1 of the 3 videos of .*val.csv cannot be found: first .*none.mp4 \(li"):
        test(flags)
    assert test([*flags, "--on_bad_video=skip", f"--output={output}"]) == 0
    result = json.loads(output.read_text())
    assert result["videos"] == 1 and sorted(bad["line"] for bad in result["skipped"]) == [3, 4]
    assert {bad["list_file"] for bad in result["skipped"]} == {str(path)}
    out = capsys.readouterr().out
    assert "2 videos left out:" in out and f"(line 3 of {path})" not in out and f", line 4 of {path}): " in out
    (tmp_path / "none.mp4").write_bytes(next(videos.folder.glob("yoga/0*")).read_bytes())
    with pytest.raises(VmzError) as raised:
        test(flags)
    said = str(raised.value)
    assert said.startswith("record ") and f" of {path} ({videos.list}, line 3): " in said and ".vmz_list" not in said
    with pytest.raises(VmzError) as raised:
        test([*flags, f"--test_data={bad_folder(videos, tmp_path / 'folder')}"])
    assert f" of {tmp_path}/folder ({tmp_path}/folder/run/1.mp4): " in str(raised.value)


def bad_folder(videos: SameVideos, path: Path) -> Path:
    for name in CLASSES:
        (path / name).mkdir(parents=True)
        (path / name / "0.mp4").write_bytes(next(videos.folder.glob(f"{name}/0*")).read_bytes())
    (path / "run" / "1.mp4").write_text("no video")
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_a_label_beyond_the_network_is_named_by_the_list(
    engine: str, videos: SameVideos, weights: dict[int, Path], tmp_path: Path
) -> None:
    path = tmp_path / "val.csv"
    path.write_text(
        "".join(f'"{row}\n' for row in _rows(videos, *CLASSES)).replace(",run", ",7").replace(",yoga", ",1")
    )
    path.write_text(path.read_text().replace(",bowling", ",2"))
    says = rf"record \d of {path} \(.*run.mp4, line \d\) has label 7, but --num_labels=3 allows 0 to 2"
    flags = [*NETWORK, f"--engine={engine}", "--num_labels=3"]
    with pytest.raises(VmzError, match=says):
        tool("test_net.py")([*TEST, *flags, f"--test_data={path}", f"--load_model_path={weights[3]}"])
    with pytest.raises(VmzError, match=says):
        tool("train_net.py")([*TRAIN, *flags, f"--train_data={path}", f"--file_store_path={tmp_path}"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--num_labels=5",), r"--num_labels=5, but --test_data=.* has 3 classes \(0 bowling, 1 run, 2 yoga\); give "),
        (
            ("--use_local_file=0",),
            r"--use_local_file=0 does not go with --test_data=.*: the videos of a folder are ",
        ),
        (("--label_names={names}",), r"the folder .*/run has the class 'run', not one of the 3 of --label_names="),
        (("--get_video_id=1",), r"a folder of class folders, whose videos have no video_id \(for --get_video_id=1\)"),
        (("--test_data={ids}", "--get_video_id=1"), r"ids.csv has no column video_id \(for --get_video_id=1\)"),
        (
            ("--test_data=nowhere.csv",),
            r"no such database: nowhere.csv; give the folder .*, a list of videos \(.csv",
        ),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    flags: tuple[str, ...], says: str, videos: SameVideos, tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text("bowling\nski\nyoga\n")
    (tmp_path / "ids.csv").write_text("org_video,label\n" + "".join(f'"{row}\n' for row in _rows(videos, "run")))
    given = [flag.format(names=tmp_path / "names.txt", ids=tmp_path / "ids.csv") for flag in flags]
    with pytest.raises(UsageError, match=says):
        tool("test_net.py")([*TEST, f"--test_data={videos.folder}", "--random_weights=1", *given])


def test_start_frames_are_asked_for_by_the_flag_that_needs_them(videos: SameVideos, tmp_path: Path) -> None:
    flags = [*NETWORK, "--random_weights=1", f"--output_path={tmp_path / 'f.npz'}"]
    with pytest.raises(UsageError, match=r"have no start_frm \(for --decode_type=2\); give a list with that column"):
        tool("extract_features.py")([*flags, f"--test_data={videos.folder}"])


def test_classes_that_are_not_the_networks_matter_where_figures_depend_on_them(
    videos: SameVideos, weights: dict[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features of one's own data by somebody else's network; its accuracy there has no meaning."""
    flags = [*NETWORK, f"--load_model_path={weights[5]}", f"--test_data={videos.folder}", "--decode_type=1"]
    flags += [f"--output_path={tmp_path / 'f.npz'}", "--features=softmax,label"]
    assert tool("extract_features.py")(flags) == 0
    assert "3 classes, numbered in alphabetical order: 0 bowling, 1 run, 2 yoga" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"--num_labels=5, but --test_data=.* has 3 classes"):
        tool("extract_features.py")([*flags, "--sanity_check=1", "--resume=0"])


def test_numbers_as_names_are_told(videos: SameVideos, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bad_folder(videos, tmp_path / "data")
    for name, number in zip(CLASSES, ("2", "10", "1")):
        (folder / name).rename(folder / number)
    (folder / "10" / "1.mp4").unlink()
    with listed_data(configuration([*TEST, f"--test_data={folder}"])) as config:
        assert config.listed[str(folder)].classes == ("1", "10", "2") and config.num_labels == 3
    assert "numbered in alphabetical order: label 1 is '10'" in capsys.readouterr().out


def test_the_test_list_gets_the_numbers_of_the_training(videos: SameVideos, tmp_path: Path) -> None:
    """Of a training list, or of the names beside a training LMDB; where neither has any, numbers must fit."""
    train, part = tool("train_net.py"), tmp_path / "part.csv"
    part.write_text("org_video,label\n" + "".join(f'"{row}\n' for row in _rows(videos, "run", "yoga")))
    flags = [*TRAIN, f"--test_data={part}", f"--file_store_path={tmp_path}", "--dry_run"]
    assert train([*flags, f"--train_data={videos.folder}"]) == 0
    with pytest.raises(UsageError, match=rf"--num_labels=101, but --test_data={part} has 2 classes \(0 run, 1"):
        train([*flags, f"--train_data={videos.lmdb}"])
    beside = Path(f"{videos.lmdb}.classes.txt")
    try:
        beside.write_text("bowling\nrun\nyoga\n")
        assert train([*flags, f"--train_data={videos.lmdb}"]) == 0
        assert train([*flags, f"--train_data={videos.folder}", f"--test_data={videos.lmdb}"]) == 0
        beside.write_text("bowling\nyoga\nrun\n")
        with pytest.raises(UsageError, match=r"names other classes than --train_data=.* has"):
            train([*flags, f"--train_data={videos.folder}", f"--test_data={videos.lmdb}"])
    finally:
        beside.unlink()


def test_the_saved_settings_repeat_the_run(videos: SameVideos, tmp_path: Path) -> None:
    """--save_config and results.json have what was given, the list, and what followed from it."""
    saved, output, test = tmp_path / "saved.json", tmp_path / "out.json", tool("test_net.py")
    flags = [*TEST, f"--test_data={videos.list}", "--random_weights=1", f"--output={output}"]
    assert test([*flags, f"--save_config={saved}"]) == 0
    first = json.loads(output.read_text())
    assert first["settings"]["sources"]["num_labels"] == {"value": 3, "source": "data"}
    for path in (saved, output):
        assert test([f"--config={path}", f"--output={tmp_path / 'again.json'}"]) == 0
        again = json.loads((tmp_path / "again.json").read_text())
        del again["options"]["output"]
        assert again["figures"] == first["figures"] and again["options"].items() <= first["options"].items()


def test_python_takes_a_list_too_and_what_is_prepared_is_not_prepared_again(
    videos: SameVideos, weights: dict[int, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    config = configuration([*TEST, f"--load_model_path={weights[3]}", f"--test_data={videos.lmdb}"])
    wanted = evaluate(config)
    capfd.readouterr()
    for data in (videos.list, videos.folder):
        with listed_data(replace(config, test_data=str(data))) as prepared:
            with listed_data(prepared) as again:
                assert again is prepared
            for given in (prepared, replace(config, test_data=str(data))):
                found = evaluate(given)
                assert found.figures == wanted.figures and found.scores.keys == wanted.scores.keys
                assert np.array_equal(np.stack(found.scores.videos), np.stack(wanted.scores.videos))
                assert found.label_names == CLASSES and found.config.flags()["test_data"] == str(data)
    assert capfd.readouterr().out.count("note: --test_data=") == 4
    with pytest.raises(UsageError, match="--num_labels=101, but --test_data"):
        evaluate(EvaluationConfig(test_data=str(videos.folder), random_weights=1))


def test_its_records_are_those_of_create_video_db(videos: SameVideos) -> None:
    config = EvaluationConfig(test_data=str(videos.list), num_labels=3, get_video_id=1)
    with listed_data(config) as listed, VideoDatabase(listed.database) as one, VideoDatabase(videos.lmdb) as other:
        assert one.keys == other.keys and one.path == str(videos.list) and one.is_listed
        assert [record.video_id for record in one] == [record.video_id for record in other]
        assert one.names == other.names
        assert one.describe("2").startswith("record 2 of ") and one.describe("2").endswith("1, of bowling.mp4, line 3)")
        assert fingerprint(listed.database) != fingerprint(videos.lmdb)


@pytest.mark.long
def test_a_tool_leaves_nothing(videos: SameVideos) -> None:
    answer = run_tool("test_net.py", *TEST, f"--test_data={videos.list}", "--random_weights=1", "--num_iter=1")
    assert answer.returncode == 0, answer.stderr
    assert left_behind() == []
