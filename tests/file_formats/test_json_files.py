"""JSON that others wrote."""

from __future__ import annotations

from typing import Any

import pytest

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import Each, misfit, parse_json


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON: Expecting value"),
        ("[" * 100_000, "nested more than 100 levels deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 levels deep"),
        ("9" * 5000, "an integer of 5000 digits"),
        ("[1e999]", "'1e999' is too large"),
        ("NaN", "NaN is not a number in JSON"),
        ('{"a": 1, "a": 2}', "'a' appears twice"),
        ('["\\ud800"]', "half of a surrogate pair"),
    ],
)
def test_what_is_not_taken(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_json(text, "names.json", remedy="look at it")
    assert str(caught.value).startswith("names.json is not JSON") and str(caught.value).endswith("; look at it")
    assert len(str(caught.value)) < 300


def test_brackets_in_text_do_not_nest() -> None:
    assert parse_json('["' + "[" * 500 + '\\"]"]', "it") == ["[" * 500 + '"]']
    assert parse_json("[" * 100 + "]" * 100, "it") is not None
    assert parse_json("[NaN, -Infinity]", "it", finite=False)[1] == float("-inf")


FORM = {"videos": [{"path": str, "frames?": (int, None)}], "settings?": Each((str, float))}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "it is None, not an object"),
        ({}, "it has no 'videos'"),
        ({"videos": {}}, "videos is {}, not a list"),
        ({"videos": [{"path": "a"}, {"path": 1}]}, r"videos\[1\].path is 1, not text"),
        ({"videos": [{"path": "a", "frames": True}]}, r"videos\[0\].frames is True, not an integer or null"),
        ({"videos": [], "settings": {"a": []}}, r"settings.a is \[\], not text or a number"),
    ],
)
def test_forms(value: Any, says: str) -> None:
    with pytest.raises(VmzError, match=says):
        import json

        parse_json(json.dumps(value), "index.json", FORM, VmzError)
    assert misfit({"videos": [{"path": "a", "frames": None, "more": 1}], "settings": {"b": 2}}, FORM) is None
