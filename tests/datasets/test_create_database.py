import json
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from tests.goldens.e2e import TOOLS
from tests.goldens.recordings import golden_path, video_path
from tests.support.in_process import tool
from tests.support.small_videos import broken_in_the_middle, cut_off, encoded, rotated
from vmz.datasets.create_database import DatabaseOptions, classes_beside, read_list, write_database
from vmz.datasets.video_lists import VideoList
from vmz.errors import UsageError
from vmz.video.database.lmdb_database import VideoDatabase

sys.path.append(str(TOOLS))  # for the tool in this process
TOOL = Path(__file__).resolve().parents[2] / "data" / "create_video_db.py"


def run(*flags, cwd):
    command = [sys.executable, str(TOOL), *map(str, flags)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def write_list(folder, text, files=("a.mp4", "b.mp4")):
    for name in files:
        (folder / name).write_bytes(b"content of " + name.encode())
    path = folder / "list.csv"
    path.write_text(text)
    return path


def items(path):
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return [[key.decode(), value.hex()] for key, value in transaction.cursor()]


def golden_cases():
    return json.loads(golden_path("reader/create_video_db.json").read_text())


@pytest.mark.parametrize("name", golden_cases()["cases"])
def test_golden_databases_are_equal_byte_for_byte(name, tmp_path, monkeypatch):
    golden = golden_cases()
    case = golden["cases"][name]
    monkeypatch.chdir(tmp_path)
    for file, content in golden["file_contents"].items():
        Path(file).write_bytes(bytes.fromhex(content))
    Path("list.csv").write_text(golden["csv"])
    options = DatabaseOptions(seed=case["numpy_seed"], **case["args"])
    if "raises" in case and case["raises"].startswith("AssertionError"):
        with pytest.raises(UsageError, match="--use_list=1"):
            write_database([], "db", options)
        return
    write_database(read_list("list.csv", options), "db", options)
    # Under Python 3 the original fails on a path that is not bytes; "_encoded_path" is the case with that put right.
    assert items("db") == golden["cases"].get(f"{name}_encoded_path", case)["items_in_cursor_order"]


def test_tool_writes_several_labels_and_keeps_the_order(tmp_path):
    write_list(tmp_path, 'org_video,label\na.mp4,3;7\nb.mp4,"1, 2"\na.mp4,4 5 6\n')
    done = run("--list_file=list.csv", "--output_file=db", "--shuffle=0", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "3 records, 91 bytes, in db\n")
    with VideoDatabase(tmp_path / "db") as database:
        assert [record.labels for record in database] == [(3, 7), (1, 2), (4, 5, 6)]
        assert [record.video for record in database][1] == b"content of b.mp4"


def test_paths_start_frames_and_ids_are_stored(tmp_path):
    write_list(tmp_path, "org_video,label,start_frm,video_id\na.mp4,1,5,9000000000\nb.mp4,2,0,2\n")
    flags = ["--use_list=1", "--use_start_frame=1", "--use_video_id=1", "--num_epochs=2", "--shuffle=0"]
    assert run("--list_file=list.csv", "--output_file=db", *flags, cwd=tmp_path).returncode == 0
    with VideoDatabase(tmp_path / "db") as database:
        assert len(database) == 4
        assert (database[0].path, database[0].start_frame, database[0].video_id) == ("a.mp4", 5, 9000000000)


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("clip,number\na.mp4,1\n", (), "no column org_video"),
        ("org_video,label\na.mp4,1\n", ("--use_video_id=1",), "no column video_id (for --use_video_id=1)"),
        (
            "org_video,label\na.mp4,1\nz.mp4,1\n",
            (),
            "1 of the 2 videos of list.csv cannot be found: first z.mp4 (line 3)",
        ),
        ("org_video,label\na.mp4,1\nb.mp4,dog\n", (), "numbers as well as names: 1 on line 2, 'dog' on line 3"),
        ("org_video,label\na.mp4,1.5\n", (), "label '1.5'"),
        ("org_video,label\na.mp4,4294967296\n", (), "does not fit in 32 bits"),
        ("org_video,label\na.mp4\n", (), "line 2 of list.csv has no label"),
        ("org_video,label\n,1\n", (), "names no video"),
        ("org_video,label\n", (), "has no rows"),
        ("", (), "the list list.csv is empty"),
        ("org_video,label\na.mp4,1\n", ("--num_epochs=2",), "--use_list=1"),
        ("org_video,label\na.mp4,1\n", ("--seed=-1",), "--seed=-1"),
        ("org_video,label\na.mp4,1\n", ("--list_file=none.csv",), "cannot read the list none.csv"),
    ],
)
def test_wrong_requests_are_refused_and_leave_nothing(text, flags, message, tmp_path):
    write_list(tmp_path, text)
    before = set(tmp_path.iterdir())
    done = run("--list_file=list.csv", "--output_file=db", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert set(tmp_path.iterdir()) == before


def test_an_existing_output_is_refused(tmp_path):
    write_list(tmp_path, "org_video,label\na.mp4,1\n")
    (tmp_path / "db").mkdir()
    done = run("--list_file=list.csv", "--output_file=db", cwd=tmp_path)
    assert done.returncode == 2
    assert "db exists already" in done.stderr
    assert not list((tmp_path / "db").iterdir())


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    videos = read_list(write_list(tmp_path, "org_video,label\na.mp4,1\nb.mp4,2\n"), DatabaseOptions())
    (tmp_path / "b.mp4").unlink()
    before = set(tmp_path.iterdir())
    with pytest.raises(Exception, match=r"cannot read b\.mp4"):
        write_database(videos, "db", DatabaseOptions())
    assert set(tmp_path.iterdir()) == before


def test_check_reports_bad_short_and_odd_videos(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    rows = [tmp_path / "text.mp4", *map(video_path, ("corrupted.mp4", "h265.mp4", "portrait.mp4", "portrait.mp4"))]
    (tmp_path / "list.csv").write_text("org_video,label\n" + "".join(f"{row},0\n" for row in rows))
    flags = ("--list_file=list.csv", "--output_file=db", "--check", "--min_frames=16")
    done = run(*flags, cwd=tmp_path)
    assert done.returncode == 1
    corrupted = video_path("corrupted.mp4")
    assert done.stdout.splitlines() == [
        "4 videos: 1 good, 1 odd, 1 short, 1 bad; see db.check.csv",
        f"1 video ended early (read up to there): {corrupted} after 28 frames: Invalid data found when "
        "processing input",
    ]
    assert "1 of 4 videos cannot be read, first" in done.stderr
    assert not (tmp_path / "db").exists()
    report = (tmp_path / "db.check.csv").read_text().splitlines()
    assert [line.split(",")[1:5] for line in report[1:]] == [
        ["bad", "0", "0", "0"],
        ["short", "10", "128", "128"],
        ["odd", "28", "1280", "720"],
        ["good", "40", "180", "424"],
    ]
    assert "decoding ended early" in report[3]
    done = run(*flags, "--on_bad_video=skip", cwd=tmp_path)
    assert done.returncode == 0
    with VideoDatabase(tmp_path / "db") as database:
        assert len(database) == 4


def test_the_list_is_kept_beside_the_records(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.mp4").write_bytes(name.encode() * 9)
    (tmp_path / "list.csv").write_text("org_video,label\na.mp4,0\n\nb.mp4,1\nc.mp4,2\n")
    for flags, name in (((), "bytes"), (("--use_list=1", "--num_epochs=2"), "paths")):
        assert run("--list_file=list.csv", f"--output_file={name}", *flags, cwd=tmp_path).returncode == 0
        with VideoDatabase(tmp_path / name) as database:
            assert len(database.names) == len(database) > 0
            for record in database:
                origin = database.names[record.key.decode()]
                held = record.path if flags else record.video.decode()[0] + ".mp4"
                assert origin.path == held and origin.list_file == "list.csv"
                assert origin.line == {"a.mp4": 2, "b.mp4": 4, "c.mp4": 5}[held]


def test_check_names_videos_that_end_early_and_rotations(tmp_path):
    whole = encoded(tmp_path / "whole.mp4", 12)
    (tmp_path / "broken.mp4").write_bytes(broken_in_the_middle(tmp_path / "broken.mp4"))
    (tmp_path / "cut.mp4").write_bytes(cut_off(tmp_path / "cut.mp4"))
    (tmp_path / "turned.mp4").write_bytes(rotated(whole))
    names = ("whole", "broken", "cut", "turned")
    (tmp_path / "list.csv").write_text("org_video,label\n" + "".join(f"{name}.mp4,0\n" for name in names))
    done = run("--list_file=list.csv", "--check", "--min_frames=8", cwd=tmp_path)
    assert done.returncode == 0
    _, early, turned = done.stdout.splitlines()
    assert early.startswith("2 videos ended early (read up to there): broken.mp4 after 10 frames: ")
    assert "; cut.mp4 after 1" in early and early.endswith("the file is truncated")
    assert turned == (
        "1 video carries a rotation in the metadata, and the frames are read as stored, not rotated: "
        "turned.mp4 (90 degrees)"
    )


def test_names_of_classes_are_numbered_and_kept_beside_the_database(tmp_path):
    write_list(tmp_path, "b.mp4 zumba\na.mp4 archery\n")
    flags = ("--list_file=list.csv", "--shuffle=0")
    done = run(*flags, "--output_file=db", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "2 classes, numbered in alphabetical order: 0 archery, 1 zumba",
        "2 records, 58 bytes, in db",
        "names of the labels: db.classes.txt; give it as --classes with the other lists of this data",
    ]
    assert (tmp_path / "db.classes.txt").read_text() == "archery\nzumba\n"
    with VideoDatabase(tmp_path / "db") as database:
        assert [record.labels for record in database] == [(1,), (0,)]
    (tmp_path / "classes.json").write_text('{"zumba": 0, "yoga": 1, "archery": 2}')
    done = run(*flags, "--output_file=other", "--classes=classes.json", cwd=tmp_path)
    assert done.stdout.startswith("3 classes, numbered in the order of --classes=classes.json: 0 zumba, 1 yoga, 2 arc")
    with VideoDatabase(tmp_path / "other") as database:
        assert [record.labels for record in database] == [(0,), (2,)]
    (tmp_path / "twice.csv").write_text("name\nzumba\narchery\nzumba\n")
    done = run(*flags, "--output_file=third", "--classes=twice.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--classes=twice.csv names the class 'zumba' twice" in done.stderr
    (tmp_path / "third.classes.txt").write_text("mine\n")
    done = run(*flags, "--output_file=third", cwd=tmp_path)
    assert done.returncode == 2
    assert "third.classes.txt exists already, with other names" in done.stderr
    assert (tmp_path / "third.classes.txt").read_text() == "mine\n" and not (tmp_path / "third").exists()


def test_a_database_is_never_without_the_names_of_its_labels(tmp_path):
    videos = VideoList("list.csv", [], ("run",))
    database = tmp_path / "db"
    with pytest.raises(KeyboardInterrupt), classes_beside(videos, database) as classes:
        assert classes is not None and classes.read_text() == "run\n"
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), classes_beside(videos, database):
        database.mkdir()
        raise KeyboardInterrupt  # the database is there: so are they
    assert (tmp_path / "db.classes.txt").read_text() == "run\n"


def test_what_dead_runs_left_goes_also_where_a_run_is_refused(tmp_path, capsys):
    """Of the database, of the names of its labels and of the report."""
    (tmp_path / "db").mkdir()
    left = [".db.lock", ".db.0123abcd", ".db.classes.txt.0123abcd", ".db.check.csv.0123abcd", ".db.check.csv.lock"]
    for name in left:
        (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match="exists already"):
        tool("../data/create_video_db.py")([f"--list_file={tmp_path}/none", f"--output_file={tmp_path}/db", "--check"])
    assert [path.name for path in tmp_path.iterdir()] == ["db"]
    assert "left unfinished" in capsys.readouterr().err
