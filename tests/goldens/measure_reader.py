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
    STARTS_WHERE_TOLD: "With the argument original_start_faults=1 each of these is identical too, or refused if the "
    "original failed (checked).",
    UNWRITTEN: "With those columns black, as in the original's zeroed buffer, each is identical (checked).",
    REFUSED: "The original could not decode enough frames and returned its previous clip. In VMZ each is an error.",
    READ: "The original wrote past the end of its buffer and crashed, so there is no recorded clip.",
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
        "# Our clips compared with the original reader's",
        "",
        "This page compares the clips of vmz.video.reader with those recorded from the original reader.",
        "tests/goldens/measure_reader.py writes it. Every case of the golden data is read from a one-record LMDB.",
        "Shapes, labels, ids and start frames are equal in all cases. Pixels are compared by the sha256 of the float32",
        "array. Cases with optical flow have their own section at the end.",
        "",
        f"PyAV {av.__version__}, libswscale {swscale}: **{counts[IDENTICAL]} of {with_pixels} identical**, "
        f"{counts[REFUSED]} refused, {counts[READ]} without a recorded clip.",
        "",
        "| video | identical | refused | no recorded clip | explained |",
        "|---|---|---|---|---|",
    ]
    for video, results in found.items():
        count = Counter(outcome.verdict for outcome in results)
        explained = len(results) - count[IDENTICAL] - count[REFUSED] - count[READ]
        lines.append(f"| {video} | {count[IDENTICAL]} | {count[REFUSED]} | {count[READ]} | {explained} |")
    lines += ["", "## Cases that are not identical", ""]
    causes: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in everything:
        if outcome.verdict != IDENTICAL:
            causes[outcome.verdict].append(outcome)
    for cause, results in sorted(causes.items(), key=lambda item: len(item[1])):
        lines.append(f"- **{cause[0].upper()}{cause[1:]}** ({len(results)}): {cases(results)}.")
        differences = [outcome.difference for outcome in results if outcome.difference is not None]
        if differences:
            lines.append(f"  Largest difference at 64 sampled positions of each: {max(differences)} grey levels.")
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
        f"normalised flow: mean difference 1e-3, 99.9 % of the values within {FLOW_VALUE}), {same} of them identical.",
        f"{len(refused)} were refused, as the original failed: {cases(refused)}. The RGB clips of these cases are all",
        "identical. Another build of OpenCV rounds differently, which changes single pixels of Farneback's flow.",
        "The C++ operator with Debian's OpenCV (4.5 in Debian 11, 4.6 in 12) gives all of them **identical to the",
        "bit** (tests/ops/test_goldens.py). The whole arrays of the Python reader compared with those of the operator:",
        "a mean difference of at most 1.8e-4, and at least 99.93 % within 0.05 (portrait.mp4 39).",
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
            least = 100 * min(flow.within for flow in rest)
            lines.append(
                f"| {video} | {len(rest)} others | 64 samples each | {mean:.1e} | {largest:.2g} | {least:.3f} % |"
            )
    return lines


def cases(results: list[Outcome]) -> str:
    numbers = defaultdict(list)
    for outcome in results:
        numbers[outcome.video].append(str(outcome.case))
    return "; ".join(f"{video} {', '.join(entries)}" for video, entries in numbers.items())


if __name__ == "__main__":
    sys.exit(main())
