"""What a run says about its settings before it starts: a line for each source, and a warning for what differs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Optional, TextIO

from vmz import zoo
from vmz.processes import identity
from vmz.settings.resolution import (
    BLOBS,
    CHECKPOINT,
    COMMAND_LINE,
    CONFIG,
    DATA,
    DEFAULT,
    PUBLISHED_FILE,
    SOURCES,
    ZOO,
    Resolution,
)
from vmz.text import counted

NAMES_SHOWN = 5


def announce(resolution: Optional[Resolution], stream: Optional[TextIO] = None) -> None:
    """Print where the settings of a run come from; the first of several processes alone does.

    To stdout, or to `stream` where stdout is for results alone. Warnings go to stderr.
    """
    if resolution is not None and not identity.rank():
        for line in [*source_lines(resolution), *notes(resolution)]:
            print(line, file=stream, flush=True)
        for line in warnings(resolution):
            print(line, file=sys.stderr)


def source_lines(resolution: Resolution) -> list[str]:
    """A line for each source. None where a command line and defaults are all there is: nothing came from elsewhere."""
    if not any(resolution.of(source) for source in (CONFIG, ZOO, CHECKPOINT, PUBLISHED_FILE, BLOBS)):
        return []
    lines = []
    for source in SOURCES:
        found = resolution.of(source)
        shown = " ".join(f"{flag}={value}" for flag, value in found.items() if value is not None)
        if shown:
            lines.append(f"settings {_whence(source, resolution)}: {shown}")
    return lines


def notes(resolution: Resolution) -> Iterator[str]:
    """What follows from the settings and is easily overlooked."""
    values = resolution.values()
    at_a_time = resolution.settings.get("crop_per_inference")
    if at_a_time is not None and at_a_time.value and at_a_time.source in (ZOO, PUBLISHED_FILE):
        views = values["clip_per_video"] * values["crop_per_clip"]
        yield (
            f"note: {at_a_time.value} of the {counted(views, 'crop')} of a video goes through the network at a time, "
            f"to bound its "
            "memory; a larger --crop_per_inference is faster where there is memory"
        )
    row = resolution.row
    crop = zoo.published_test(row).get("crop_size") if row is not None else None
    if row is not None and resolution.protocol == zoo.PUBLISHED and crop is not None and values["crop_size"] == crop:
        yield (
            f"note: the table prints an input of {row.input_size_as_printed} for {row.name}, but its figures are of "
            f"crops of {crop} through a fully convolutional head; --protocol=fast takes a centre crop of "
            f"{row.flags['crop_size']}"
        )
    if row is not None and "clip_per_video" in values:
        protocol = zoo.protocol_of(row)
        if protocol is not None and not protocol["flags"]:
            yield (
                f"note: the figures of {row.name} were published for another test ({protocol['remark']}), which this "
                "tool does not run"
            )
    if resolution.labels is not None and "aggregation" in values:
        more = ", ..." if len(resolution.labels) > NAMES_SHOWN else ""
        yield f"class names from the checkpoint: {', '.join(resolution.labels[:NAMES_SHOWN])}{more}"
    checkpoint = resolution.checkpoint
    if checkpoint is not None and checkpoint.tested_batches and "clip_per_video" in values:
        yield (
            f"note: while training, {_file(resolution)} was tested on the first "
            f"{counted(checkpoint.tested_batches, 'batch')} "
            "only (--test_num_iter); this test uses its own --num_iter"
        )


def warnings(resolution: Resolution) -> Iterator[str]:
    """One line that names each setting that is not as the checkpoint was trained or published."""
    if resolution.differences:
        yield f"warning: not {resolution.reference}: {', '.join(resolution.differences)}"


def _whence(source: str, resolution: Resolution) -> str:
    protocol = f", {resolution.protocol} protocol" if resolution.protocol else ""
    name = resolution.row.name if resolution.row else ""
    return {
        COMMAND_LINE: "from the command line",
        CONFIG: "from --config",
        ZOO: f"from --zoo={name}{protocol}",
        CHECKPOINT: f"from {'the model' if _is_saved(resolution) else 'the training of'} {_file(resolution)}",
        PUBLISHED_FILE: f"from the published model {name}, whose file name it has{protocol}",
        BLOBS: f"from the blobs of {_file(resolution)}",
        DATA: "from the classes of the data",
        DEFAULT: "by default",
    }[source]


def _file(resolution: Resolution) -> str:
    return os.path.basename(os.path.normpath(resolution.checkpoint.path)) if resolution.checkpoint else ""


def _is_saved(resolution: Resolution) -> bool:
    return resolution.checkpoint is not None and resolution.checkpoint.saved
