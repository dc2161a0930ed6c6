from __future__ import annotations

from pathlib import Path

import pytest

from vmz.errors import UsageError
from vmz.file_formats.class_names import read_label_names

NAMES = ["abseiling", "playing ball, badly", "zumba"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("names.txt", "abseiling\nplaying ball, badly\n\nzumba\n"),
        ("names.txt", "\ufeffabseiling\r\nplaying ball, badly\r\nzumba"),
        ("names.csv", 'id,name\n2,zumba\n0,abseiling\n1,"playing ball, badly"\n'),
        ("names.csv", 'name,label\nzumba,2\nabseiling,0\n"playing ball, badly",1\n'),
        ("names.csv", '0,abseiling\n1,"playing ball, badly"\n2,zumba\n'),
        ("names.csv", 'abseiling,0\n"playing ball, badly",1\nzumba,2\n'),
        ("names.csv", 'nummer,klasse\n0,abseiling\n1,"playing ball, badly"\n2,zumba\n'),
        ("names.csv", 'abseiling\n"playing ball, badly"\nzumba\n'),
        ("names.json", '["abseiling", "playing ball, badly", "zumba"]'),
        ("names.json", '{"zumba": 2, "abseiling": 0, "playing ball, badly": 1}'),
        ("classInd.txt", "1 abseiling\n2 playing ball, badly\n3 zumba\n"),
        ("names.txt", "2\tzumba\n0\tabseiling\n1\tplaying ball, badly\n"),
        ("names.txt", '["abseiling", "playing ball, badly", "zumba"]\n'),
        ("names.json", '{"classes": ["abseiling", "playing ball, badly", "zumba"]}'),
        (
            "names.json",
            '[{"id": 2, "name": "zumba"}, {"id": 0, "name": "abseiling"}, {"id": 1, "name": "playing ball, badly"}]',
        ),
        ("names.json", '{"2": "zumba", "0": "abseiling", "1": "playing ball, badly"}'),
    ],
)
def test_every_way_to_write_them(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_label_names(tmp_path / file, 3) == NAMES


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("names.txt", "one\ntwo\n", "names 2 classes, but --num_labels=3"),
        ("names.txt", "", "names 0 classes"),
        ("names.csv", "", "names 0 classes"),
        ("names.csv", "id,name\n0,a\n1,b\n1,c\n", "each label from 0 to 2 once"),
        ("names.csv", "id,name\n0,a\n1\n2,c\n", "too few columns"),
        ("names.csv", "id,name\n0,a\n1,b, c\n2,d\n", "line 3 of .* has 3 fields, but there are 2 columns"),
        ("names.csv", "0,a\n1,b, c\n2,d\n", "line 2 of .* has 3 fields, but its first 2"),
        ("names.csv", "name,name\na,b\n", "names the column name twice"),
        ("names.json", "{", "is not JSON"),
        ("names.json", "3", "must contain a list of names"),
        ("names.json", '{"a": 0, "b": 1, "c": 3}', "each label from 0 to 2 once"),
    ],
)
def test_what_is_no_list_of_names(file: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_label_names(tmp_path / file, 3)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read --label_names=/nowhere"):
        read_label_names("/nowhere", 3)
    (tmp_path / "names.txt").write_bytes(b"\xff\x00a")
    with pytest.raises(UsageError, match="is not text"):
        read_label_names(tmp_path / "names.txt", 3)
