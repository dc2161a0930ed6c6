"""Texts gone wrong: JSON and tables."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from tests.campaign.mutations.drawing import ODD_INTEGERS, ODD_TEXTS, Mutator, chance_of, mutated_bytes


def mutated_value(value: Any, chance: random.Random) -> Any:
    """A JSON value with one place in it changed, or with a name more."""
    if isinstance(value, dict) and chance.random() < 0.1:
        return {**value, chance.choice(("more", "self", "name", *ODD_TEXTS)): mutated_value(1, chance)}
    if isinstance(value, dict) and value and chance.random() < 0.75:
        key = chance.choice(list(value))
        return {**value, key: mutated_value(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.75:
        at = chance.randrange(len(value))
        return [*value[:at], mutated_value(value[at], chance), *value[at + 1 :]]
    odd: list[Any] = [None, [], {}, [None], {"": None}, True, 0.5, -1, 1e308, float("nan"), [[]], ["a"], [1], {"a": 1}]
    return chance.choice([*odd, *ODD_INTEGERS, *ODD_TEXTS])


def json_text(seed: int, number: int, value: Any = None) -> str:
    """JSON that is odd in its form, or `value` with a part changed."""
    chance = chance_of(seed, number)
    forms = (
        "null", "", "[]", "{}", '""', "1", "NaN", "-Infinity", "1e999", "9" * 7000, "[" * 100000, "[" * 900 + "]" * 900,
        '{"a":' * 5000 + "1" + "}" * 5000, '{"a": 1, "a": 2}', '{"name": {"x": 1, "x": 2}}', "\ufeff{}", "{]", "'a'",
        '"\\ud800"', '{"\\u202e": 1}', "[1,]", "true", '["' + "x" * 300000 + '"]', "[" + "1," * 50000 + "1]",
    )  # fmt: skip
    if number < len(forms):
        return forms[number]
    if value is None or chance.random() < 0.1:
        return chance.choice(forms)
    text = json.dumps(mutated_value(value, chance) if chance.random() < 0.8 else value)
    if chance.random() < 0.2:
        text = mutated_bytes(text.encode(), chance, 2).decode("latin1")
    return text


def jsons(value: Any) -> Mutator:
    """Files that should hold `value`."""
    return lambda seed, number: json_text(seed, number, value).encode("utf-8", "surrogatepass")


def tables(rows: Sequence[Sequence[str]], delimiter: str = ",") -> Mutator:
    """CSV files that should hold `rows`."""

    def make(seed: int, number: int) -> bytes:
        chance = chance_of(seed, number)
        cells = [list(row) for row in rows]
        between = delimiter if chance.random() < 0.7 else chance.choice((",", "\t", ";", " ", "|"))
        for _ in range(chance.randint(0, 4)):
            row = chance.choice(cells)
            way = chance.randrange(7)
            at = chance.randrange(len(row)) if row else 0
            if way == 0 and row:
                row[at] = chance.choice((*ODD_TEXTS, *map(str, ODD_INTEGERS), "1;2", "a;b", "1.5", "y" * 200000))
            elif way == 1 and row:
                del row[at]
            elif way == 2:
                row.insert(at, chance.choice(ODD_TEXTS))
            elif way == 3:
                cells.insert(chance.randrange(len(cells)), list(row))
            elif way == 4 and len(cells) > 1:
                cells.remove(row)
            elif way == 5 and row:
                row[at] = f'"{row[at]}' + chance.choice(('"', "", '""', '"x'))
            else:
                cells.insert(chance.randrange(len(cells) + 1), ["# note"])
        text = chance.choice(("\n", "\n", "\r\n", "\r")).join(between.join(row) for row in cells)
        content = text.encode(chance.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")), "surrogatepass")
        return mutated_bytes(content, chance, 2) if chance.random() < 0.15 else content

    return make
