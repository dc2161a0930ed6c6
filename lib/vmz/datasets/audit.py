"""Is this the data that the figures should be about? Missing videos, duplicates, and the published recipe.

A figure says how a network does on what the database holds; these are the ways in which that is not what was meant.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, NamedTuple, Optional

from vmz import zoo
from vmz.datasets.check_videos import rotation_line
from vmz.datasets.create_database import classes_file
from vmz.datasets.inventory import Held, against_list, duplicates, held, labels_of
from vmz.datasets.video_lists import VideoList, read_video_list
from vmz.file_formats.class_names import read_class_order
from vmz.netdef.video_outputs import SOUND
from vmz.results.data import DataReport, Recipe
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings
from vmz.text import counted
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import RecordError
from vmz.video.faults import bounded, record_name
from vmz.video.frames.decoding import DecodingError, Source, Video
from vmz.video.frames.watch import Watch, watched
from vmz.video.reader import check_holds

SAMPLED_VIDEOS = 200  # headers that are looked at
RATE_TOLERANCE = 0.05  # 29.97 is 30
SIZE_TOLERANCE = 0.1
_COMMON = 0.95  # share of videos from which on something holds for "all"


def recipe(network: NetworkSettings, reader: ReaderSettings, row: Optional[zoo.ZooRow]) -> Recipe:
    """What the settings, and the published model that they are of, ask of the data."""
    data: Mapping[str, Any] = {}
    if row is not None and row.train_data is not None:
        data = zoo.data_recipe(row)
    own_rate = row.input_fps if row is not None else None
    sees = reader.input_type != SOUND
    return Recipe(
        model=row.display_name if row is not None else None,
        frame_rate=own_rate or data.get("frame_rate"),
        rate_source=row.source if row is not None and own_rate else str(data.get("source", "")),
        short_side=data.get("short_side") if sees else None,
        short_side_source=str(data.get("source", "")),
        shortest_useful_side=min(reader.scale_h, reader.scale_w) if sees else 0,
        frames_needed=(network.clip_length_rgb - 1) * reader.sampling_rate_rgb + 1,
        resampled_to=reader.fps,
    )


def check_data(
    reader: ReaderSettings,
    recipe: Recipe,
    list_file: Optional[str] = None,
    label_names: Optional[str] = None,
    sampled: int = SAMPLED_VIDEOS,
) -> DataReport:
    """Look through the database of the reader, and at the headers of `sampled` of its videos, evenly spread.

    list_file: the list that the database should hold, its classes in the order of the file label_names. Raises what
    read_video_list and VideoDatabase raise.
    """
    path = reader.database
    rows = _listed(list_file, reader, label_names) if list_file else None
    with VideoDatabase(path) as database:
        check_holds(database, bool(reader.local_files))
        records = held(database, bool(reader.local_files))
        groups = duplicates(database, records)
        report = DataReport(
            database=database.path,
            records=len(database),
            duplicates=[[record.key for record in group] for group in groups],
            contradictions=[
                [record.key for record in group]
                for group in groups
                if len({tuple(sorted(labels_of(database, record))) for record in group}) > 1
            ],
            listed=None if rows is None else against_list(str(list_file), rows, database, records),
            recipe=recipe,
            list_numbering="" if rows is None else rows.numbering,
            **_statistics(database, records, sampled),
        )
        paths = {record.key: record.path for record in records}

        def named(key: str) -> str:
            return record_name(**database.named(key, paths.get(key))).partition("record ")[2]

        report.warnings.extend([*_list_warnings(report, named)])
        if not reader.autorotate and reader.input_type != SOUND:
            report.warnings.extend(_rotation_warnings(report))
        report.warnings.extend([*_duplicate_warnings(report, named), *_recipe_warnings(report)])
    return report


def _listed(list_file: str, reader: ReaderSettings, label_names: Optional[str]) -> VideoList:
    """The list, its classes numbered as those of the data are, or by the file beside the database, or else in the order
    of --label_names."""
    data = str(reader.test_data)
    if data in reader.listed and reader.listed[data].classes:
        return read_video_list(list_file, classes=reader.listed[data].classes, classes_from=f"--test_data={data}")
    beside = classes_file(data)
    if beside.is_file():
        return read_video_list(list_file, classes=read_class_order(beside, "the file"), classes_from=str(beside))
    if label_names:
        names, flag = read_class_order(label_names, "--label_names"), f"--label_names={label_names}"
        return read_video_list(list_file, classes=names, classes_from=flag)
    return read_video_list(list_file)


def print_warnings(report: DataReport) -> None:
    """One line each on stderr, and how the classes of the list were numbered."""
    if report.listed is not None and report.list_numbering:
        print(f"{report.listed.path}: its classes are numbered {report.list_numbering}", file=sys.stderr)
    for line in report.warnings:
        print(f"warning: {line}", file=sys.stderr)


class _Stated(NamedTuple):
    """What a video's container states; its first frame carries the rotation."""

    width: int
    height: int
    rate: float
    frames: int
    rotation: int


def _first_frame(source: Source, watch: Watch) -> _Stated:
    with Video(source, watch) as video:
        next(video.read(), None)
        return _Stated(video.width, video.height, video.rate, video.frames, video.rotation)


def _statistics(database: VideoDatabase, records: Sequence[Held], sampled: int) -> dict[str, Any]:
    """Frame rates, short sides and lengths, by what the containers state."""
    step = max(1.0, len(records) / sampled)
    chosen = [records[int(place * step)] for place in range(min(sampled, len(records)))]
    rates: Counter[str] = Counter()
    sides: Counter[str] = Counter()
    lengths, rotated, unreadable = [], [], 0
    for record in chosen:
        try:
            source = record.path if record.path is not None else database[record.index].video
            video = watched(partial(_first_frame, source))
            sides[str(min(video.width, video.height))] += 1
            rates[f"{video.rate:.4g}" if video.rate else "unknown"] += 1
            if video.frames and video.rate:
                lengths.append(video.frames / video.rate)
            if video.rotation:
                rotated.append(f"{database.describe(record.key, record.path)}: {video.rotation} degrees")
        except (DecodingError, RecordError):
            unreadable += 1
    return {
        "sampled": len(chosen),
        "unreadable": unreadable,
        "rotated": rotated,
        "frame_rates": dict(rates.most_common()),
        "short_sides": dict(sides.most_common()),
        "lengths_s": [round(value, 3) for value in (min(lengths), median(lengths), max(lengths))] if lengths else [],
    }


Named = Callable[[str], str]
"""A record's key with the file and the line of the list, where they are known."""


def _list_warnings(report: DataReport, named: Named) -> list[str]:
    account, name = report.listed, report.database
    if account is None:
        return []
    found = []
    if account.missing:
        (line, video), many = account.missing[0], len(account.missing)
        how = {"labels": ", going by the number of each label", "file name": ", going by file names"}
        found.append(
            f"{many} of the {counted(account.rows, 'video')} of {account.path} are not in {name}"
            f"{how.get(account.compared_by, '')}: first {video} (line {line}); the figures cover only the others"
        )
    if account.extra:
        extra = _records(account.extra, named)
        rest = ("is", "it counts") if extra.split()[:2] == ["1", "record"] else ("are", "they count")
        found.append(f"{extra} of {name} {rest[0]} not in {account.path}; {rest[1]} too")
    if account.relabelled:
        found.append(
            f"{_records(account.relabelled, named)} of {name} have other labels than in {account.path}; "
            "give the list that the database was created from"
        )
    if account.unknown and account.compared_by == "content":
        found.append(
            f"{account.unknown} of the {counted(account.rows, 'video')} of {account.path} are not available as "
            "files: whether "
            f"{name} contains them is not known"
        )
    return found


def _rotation_warnings(report: DataReport) -> list[str]:
    if not report.rotated:
        return []
    of = f" (of {report.sampled} looked at)"
    return [bounded(f"{rotation_line(len(report.rotated))}{of}", report.rotated)]


def _duplicate_warnings(report: DataReport, named: Named) -> list[str]:
    found = []
    if report.duplicates:
        surplus, first = (
            sum(len(group) - 1 for group in report.duplicates),
            " and ".join(map(named, report.duplicates[0][:2])),
        )
        found.append(
            f"{counted(len(report.duplicates), 'video')} {'is' if len(report.duplicates) == 1 else 'are'} in "
            f"{report.database} more than once, {counted(surplus, 'record')} too many: "
            f"first records {first}; each counts as often as it appears"
        )
    if report.contradictions:
        first = " and ".join(map(named, report.contradictions[0][:2]))
        found.append(
            f"{counted(len(report.contradictions), 'video')} {'is' if len(report.contradictions) == 1 else 'are'} in "
            f"{report.database} under different labels: first records "
            f"{first}; one of them is wrong whatever the network says"
        )
    return found


def _recipe_warnings(report: DataReport) -> list[str]:
    rates = {float(rate): videos for rate, videos in report.frame_rates.items() if rate != "unknown"}
    if report.recipe.resampled_to and rates:
        rates = {float(report.recipe.resampled_to): sum(rates.values())}
    sides = {int(side): videos for side, videos in report.short_sides.items()}
    return [*(_rate_warnings(rates, report.recipe) if rates else []), *_side_warnings(sides, report.recipe)]


def _rate_warnings(rates: Mapping[float, int], wanted: Recipe) -> list[str]:
    videos, common = sum(rates.values()), max(rates, key=lambda rate: rates[rate])
    found = []
    if rates[common] < _COMMON * videos:
        listed = ", ".join(f"{rate:g} ({count})" for rate, count in list(rates.items())[:4])
        found.append(
            f"the {counted(videos, 'video')} looked at differ in frame rate: "
            f"{listed}{', ...' if len(rates) > 4 else ''}; "
            "frames are counted, so that a clip spans a different time in each"
        )
    off = sum(count for rate, count in rates.items() if not _near(rate, wanted.frame_rate, RATE_TOLERANCE))
    if wanted.frame_rate is not None and off > (1 - _COMMON) * videos:
        found.append(
            f"{wanted.model} was published for videos of {wanted.frame_rate:g} frames a second ({wanted.rate_source}), "
            f"but {off} of {videos} looked at have another rate, most often {common:g}: a clip spans "
            f"{wanted.frame_rate / common:.2g} times the time; give --fps={round(wanted.frame_rate)}"
        )
    return found


def _side_warnings(sides: Mapping[int, int], wanted: Recipe) -> list[str]:
    videos = sum(sides.values())
    small = sum(count for side, count in sides.items() if side < wanted.shortest_useful_side)
    if small:
        return [
            f"{small} of {counted(videos, 'video')} looked at {'has' if small == 1 else 'have'} a short side below "
            f"{counted(wanted.shortest_useful_side, 'pixel')} (the least is {min(sides)}): they are enlarged before "
            f"the network sees them"
        ]
    off = sum(count for side, count in sides.items() if not _near(side, wanted.short_side, SIZE_TOLERANCE))
    if wanted.short_side is not None and off > (1 - _COMMON) * videos:
        return [
            f"the published recipe keeps videos at a short side of {counted(wanted.short_side, 'pixel')} "
            f"({wanted.short_side_source}), but {off} of {videos} looked at have another, most often "
            f"{max(sides, key=lambda side: sides[side])}"
        ]
    return []


def _near(value: float, wanted: Optional[float], tolerance: float) -> bool:
    return wanted is None or abs(value - wanted) <= tolerance * wanted


def _records(keys: Sequence[str], named: Named) -> str:
    """ "3 records (4, 8, 15)", or what a count by labels says of them."""
    if keys[0].endswith((" record", " records")):
        return keys[0]
    return f"{counted(len(keys), 'record')} ({', '.join(map(named, keys[:3]))}{', ...' if len(keys) > 3 else ''})"
