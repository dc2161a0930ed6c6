"""Write docs/internals/reader_goldens.md: which clips are equal to the original reader's bit for bit.

The page gives the cause of each difference.

Run from the repository root, with the golden data beside it: python -m tests.goldens.measure_reader
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import av

from tests.goldens.reader_cases import (
    FLOW,
    FLOW_VALUE,
    IDENTICAL,
    READ,
    REFUSED,
    STARTS_WHERE_TOLD,
    UNWRITTEN,
    Outcome,
    asks_for_flow,
    cases_of,
    outcomes,
    videos,
)
from vmz.files import atomic_write
from vmz.video.frames.opencv import opencv

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "docs" / "internals" / "reader_goldens.md"
NOTES = {
    STARTS_WHERE_TOLD: "With the argument original_start_faults=1 each of these is identical too, or refused where the "
    "original failed (checked).",
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
    everything, flows = [], []
    for video, results in found.items():
        of_flow = {case["case"] for case in cases_of(video) if asks_for_flow(case)}
        flows += [outcome for outcome in results if outcome.case in of_flow]
        found[video] = [outcome for outcome in results if outcome.case not in of_flow]
        everything += found[video]
    counts = Counter(outcome.verdict for outcome in everything)
    with_pixels = len(everything) - counts[REFUSED] - counts[READ]
    swscale = ".".join(map(str, av.library_versions["libswscale"]))
    lines = [
        "# The original's clips, and ours",
        "",
        "Made by tests/goldens/measure_reader.py. Every case of the golden data, read from a one-record LMDB by",
        "vmz.video.reader: shapes, labels, ids and start frames are equal in all of them; pixels are compared by the",
        "sha256 of the float32 array. Cases that ask for optical flow stand by themselves, at the end.",
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
    lines += flow_section(flows)
    return "\n".join(lines) + "\n"


def flow_section(flows: list[Outcome]) -> list[str]:
    """How far the flow is from the original's, over whole arrays where the golden data has them."""
    read = [outcome for outcome in flows if outcome.flow is not None]
    refused = [outcome for outcome in flows if outcome.flow is None]
    same = sum(outcome.verdict == IDENTICAL for outcome in read)
    within = same + sum(outcome.verdict == FLOW for outcome in read)
    lines = [
        "",
        "## Optical flow",
        "",
        f"opencv-python-headless {opencv().__version__}: **{within} of {len(read)} within the tolerance** (of the",
        f"normalised flow: mean difference 1e-3, 99.9 % of the values within {FLOW_VALUE}), {same} of them identical;",
        f"{len(refused)} refused, as the original failed: {cases(refused)}. RGB clips of the same cases are",
        "identical in all of them. Another build of OpenCV rounds otherwise, and single pixels of Farneback's flow",
        "then come out elsewhere. The C++ operator with Debian's OpenCV (4.5 in Debian 11, 4.6 in 12) gives all",
        "of them **identical to the bit** (tests/ops/test_goldens.py). The Python reader's whole arrays beside the",
        "operator's: a mean difference of 1.8e-4 at most, and 99.93 % within 0.05 at least (portrait.mp4 39).",
        "",
        "| video | case | compared | mean difference | largest | within 0.05 |",
        "|---|---|---|---|---|---|",
    ]
    for video in dict.fromkeys(outcome.video for outcome in read):
        of_video = [(outcome.case, outcome.flow) for outcome in read if outcome.video == video and outcome.flow]
        whole = [(str(case), flow) for case, flow in of_video if flow.whole]
        rest = [flow for _, flow in of_video if not flow.whole]
        for name, flow in whole:
            lines.append(
                f"| {video} | {name} | all | {flow.mean:.1e} | {flow.largest:.2g} | {100 * flow.within:.3f} % |"
            )
        if rest:
            mean, largest = max(flow.mean for flow in rest), max(flow.largest for flow in rest)
            within = 100 * min(flow.within for flow in rest)
            lines.append(
                f"| {video} | {len(rest)} others | 64 samples each | {mean:.1e} | {largest:.2g} | {within:.3f} % |"
            )
    return lines


def cases(results: list[Outcome]) -> str:
    numbers = defaultdict(list)
    for outcome in results:
        numbers[outcome.video].append(str(outcome.case))
    return "; ".join(f"{video} {', '.join(entries)}" for video, entries in numbers.items())


if __name__ == "__main__":
    sys.exit(main())
