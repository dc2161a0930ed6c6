"""--report: an evaluation as a page, with frames of its worst videos from the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Callable, Optional

from vmz.evaluation.config import EvaluationConfig
from vmz.outputs import Output
from vmz.progress import Progress
from vmz.report.evaluation import page
from vmz.report.page import write
from vmz.report.thumbnails import Strip, strip
from vmz.results.evaluation import Evaluation
from vmz.video.database.fingerprint import refuse_remade
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import RecordError, key_text
from vmz.video.faults import record_place

Made = Callable[[], Optional[Strip]]
OUTPUTS = ("output", "save_scores", "report")


def outputs_of(config: EvaluationConfig) -> list[Output]:
    """What the settings ask for, for `vmz.outputs.in_progress`."""
    return [Output(f"--{flag}", getattr(config, flag)) for flag in OUTPUTS]


def write_report(evaluation: Evaluation, config: EvaluationConfig) -> None:
    """Write the page to --report."""

    def pictures(keys: Sequence[str]) -> Iterator[tuple[str, str, Made]]:
        return _pictures(config.database, bool(config.local_files), keys)

    html = page(evaluation, pictures)
    refuse_remade(config.database, evaluation.database)
    write(str(config.report), html)


def _pictures(database: str, by_path: bool, keys: Sequence[str]) -> Iterator[tuple[str, str, Made]]:
    with VideoDatabase(database) as records, Progress(len(keys), "videos", "--report: clips") as shown:
        places = {key_text(key): index for index, key in enumerate(records.keys)}
        for key in keys:
            shown.update()
            try:
                record = records[places[key]]
            except RecordError:
                continue
            path = record.path if by_path else None
            named = records.name(places[key], path)
            yield key, record_place(named), partial(strip, path or record.video)
