"""What was found out about the data of an evaluation: is it what the figures should be about?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Optional


@dataclass(frozen=True)
class Recipe:
    """What the videos should be like. frame_rate and short_side: of the published model's data, None where unknown."""

    model: Optional[str]
    frame_rate: Optional[float]
    rate_source: str
    short_side: Optional[int]
    short_side_source: str
    shortest_useful_side: int  # a shorter one is enlarged before the network sees it
    frames_needed: int
    resampled_to: int = 0  # frames a second (--fps), 0 where every frame is taken


@dataclass(frozen=True)
class ListAccount:
    """A list against a database. compared_by: "path", "file name", "content", or "labels" (only numbers are known).

    missing: rows whose video no record holds, (line, video). extra: keys of records that no row names. relabelled: keys
    of records whose labels are not the row's. unknown: rows whose file is not here, so that its content is not known.
    """

    path: str
    rows: int
    compared_by: str
    missing: list[tuple[Optional[int], str]]
    extra: list[str]
    relabelled: list[str]
    unknown: int = 0


@dataclass(frozen=True)
class DataReport:
    """The account of a database. Counters are {value: videos}, most frequent first; `warnings` are whole sentences."""

    database: str
    records: int
    sampled: int
    unreadable: int
    frame_rates: dict[str, int]
    short_sides: dict[str, int]
    lengths_s: list[float]  # shortest, median and longest of the sampled videos; empty where no header says
    duplicates: list[list[str]]
    contradictions: list[list[str]]  # groups of duplicates whose labels differ
    listed: Optional[ListAccount]
    recipe: Recipe
    list_numbering: str = ""  # how --list's names of classes became numbers
    rotated: list[str] = field(default_factory=list)  # of the sampled videos, those that carry a rotation
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Publication:
    """What was published of a model: figures (shares of 1) by name, and the protocol that they come from.

    differences: each setting of this evaluation that is not the protocol's, with both values. source: the page or the
    file that says so.
    """

    name: str
    display_name: str
    train_data: Optional[str]
    figures: Mapping[str, float]
    protocol: Optional[str]
    differences: Sequence[str]
    source: str
    remarks: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "figures": dict(self.figures),
            "differences": list(self.differences),
            "remarks": list(self.remarks),
        }
