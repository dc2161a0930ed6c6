"""Write docs/reader_goldens.md: how many of the original reader's clips ours gives bit for bit, and why not the others.

Run from the repository root, with the golden data beside it: python scripts/reader_goldens.py
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import av  # noqa: E402

from tests.reader_goldens import IDENTICAL, READ, REFUSED, STARTS_WHERE_TOLD, UNWRITTEN, Outcome, outcomes, videos  # noqa: E402
from vmz.files import atomic_write  # noqa: E402

OUTPUT = ROOT / "docs" / "reader_goldens.md"
NOTES = {
    STARTS_WHERE_TOLD: "With the argument original_start_faults=1 each of these is identical too (checked).",
    UNWRITTEN: "With those columns black, as in the original's zeroed buffer, each is identical (checked).",
    REFUSED: "The original could not decode enough frames and gave its last clip again. Here each is an error.",
    READ: "The original wrote past its buffer and died: there is nothing to compare with.",
}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = {video: list(outcomes(video, Path(folder))) for video in videos()}
    with atomic_write(OUTPUT, "w") as stream:
        stream.write(page(found))
    print(f"wrote {OUTPUT}")
    return 0


def page(found: dict[str, list[Outcome]]) -> str:
    everything = [outcome for results in found.values() for outcome in results]
    counts = Counter(outcome.verdict for outcome in everything)
    with_pixels = len(everything) - counts[REFUSED] - counts[READ]
    swscale = ".".join(map(str, av.library_versions["libswscale"]))
    lines = [
        "# The original's clips, and ours",
        "",
        "Made by scripts/reader_goldens.py. Every RGB case of the golden data (those that ask for flow too wait",
        "for the issue that brings it), read from a one-record LMDB by vmz.video.reader: shapes, labels, ids and",
        "start frames are equal in all of them; pixels are compared by the sha256 of the float32 array.",
        "",
        f"PyAV {av.__version__}, libswscale {swscale}: **{counts[IDENTICAL]} of {with_pixels} identical**, "
        f"{counts[REFUSED]} refused, {counts[READ]} without an original to compare with.",
        "",
        "| video | identical | refused | no original | explained |",
        "|---|---|---|---|---|",
    ]
    for video, results in found.items():
        count = Counter(outcome.verdict for outcome in results)
        explained = len(results) - count[IDENTICAL] - count[REFUSED] - count[READ]
        lines.append(f"| {video} | {count[IDENTICAL]} | {count[REFUSED]} | {count[READ]} | {explained} |")
    lines += ["", "## Each case that is not identical", ""]
    causes: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in everything:
        if outcome.verdict != IDENTICAL:
            causes[outcome.verdict].append(outcome)
    for cause, results in sorted(causes.items(), key=lambda item: len(item[1])):
        lines.append(f"- **{cause[0].upper()}{cause[1:]}** ({len(results)}): {cases(results)}.")
        differences = [outcome.difference for outcome in results if outcome.difference is not None]
        if differences:
            lines.append(f"  Largest difference at the 64 sampled places of each: {max(differences)} grey levels.")
        if cause in NOTES:
            lines.append(f"  {NOTES[cause]}")
    return "\n".join(lines) + "\n"


def cases(results: list[Outcome]) -> str:
    numbers = defaultdict(list)
    for outcome in results:
        numbers[outcome.video].append(str(outcome.case))
    return "; ".join(f"{video} {', '.join(entries)}" for video, entries in numbers.items())


if __name__ == "__main__":
    sys.exit(main())
