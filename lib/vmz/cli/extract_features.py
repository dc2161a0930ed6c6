"""Extract features of video clips: any blobs of a network, for the clips of an LMDB, a list or a folder of class
folders, or all along untrimmed videos.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from vmz.cli.shared.launch import launch
from vmz.cli.shared.options import add_config_flags, add_own, add_settings, config_of, parse, save_config
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.cli.shared.settings_report import announce
from vmz.engines.registry import check_engine
from vmz.features.config import AddedExtractSettings, ExtractionConfig, OriginalExtractSettings
from vmz.features.extraction import Extraction, data_of, extract
from vmz.features.untrimmed import VideoExtraction, extract_videos
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.engine import used_devices
from vmz.settings.inference import InferenceSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.text import counted
from vmz.video.faults import closing_line, silent_line

EXAMPLE = (
    "tools/extract_features.py --test_data=val_lmdb --load_model_path=model.pkl --features=final_avg,label "
    "--output_path=features.npz"
)


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), EXAMPLE)
    changed = {name: getattr(ExtractionConfig, name) for name in ("clip_length_rgb", "clip_per_video", "batch_size")}
    add_own(parser, "published model", ExtractionConfig, ("zoo", "protocol"))
    add_settings(parser, "network", NetworkSettings, **changed)
    add_settings(parser, "data", ReaderSettings, ViewSettings, **changed)
    add_settings(parser, "engine", InferenceSettings)
    add_settings(parser, "extraction", OriginalExtractSettings)
    add_settings(parser, "weights", CheckpointSettings)
    add_settings(parser, "not in the original", AddedExtractSettings)
    add_config_flags(parser)
    options = parse(parser, argv, ExtractionConfig.use, fetch=True)
    config = config_of(ExtractionConfig, options)
    check_engine(config.engine)
    status = launch(config, argv)
    if status is not None:
        return status
    if config.videos:
        announce(config.resolution)
        save_config(options, config)
        found = extract_videos(config)
        if found is not None:
            print_videos(found, config.load_model_path, _used(config))
        return 0
    with data_of(config) as config:
        announce(config.resolution)
        save_config(options, config)
        extraction = extract(config)
    if extraction is not None:
        print_extraction(extraction, config.load_model_path, _used(config))
    return 0


def _used(config: ExtractionConfig) -> str:
    """The engine and the devices."""
    return f"{config.engine}, {used_devices(config)}"


def print_extraction(extraction: Extraction, weights: Optional[str], engine: str) -> None:
    if extraction.checkpoint is not None:
        print(f"{weights}: {extraction.checkpoint.summary()}")
    if extraction.resumed and not extraction.was_there:
        verb = "was" if extraction.resumed == 1 else "were"
        print(f"{counted(extraction.resumed, 'video')} {verb} already extracted by a run that was stopped")
    if extraction.skipped:
        print(f"{counted(len(extraction.skipped), 'video')} left out:")
        for bad in extraction.skipped:
            print(f"  {bad}")
    if extraction.ended_early:
        print(closing_line(extraction.ended_early, "their features come from the frames before"))
    if extraction.without_sound:
        print(silent_line(extraction.without_sound))
    for name, shape in extraction.shapes.items():
        print(f"{name}: {' x '.join(map(str, shape))}")
    if extraction.was_there:
        print(
            f"nothing to do: {extraction.path} already contains {counted(extraction.videos, 'video')} with the same "
            f"settings "
            "(--resume=0 extracts them again)"
        )
    else:
        print(
            f"{counted(extraction.videos, 'video')}, {extraction.seconds:.1f} s on {engine}, written to "
            f"{extraction.path}"
        )
    if extraction.sanity is not None:
        print("Sanity check --- " + ", ".join(f"{name}: {value}" for name, value in extraction.sanity.items()))


def print_videos(found: VideoExtraction, weights: Optional[str], engine: str) -> None:
    if found.checkpoint is not None:
        print(f"{weights}: {found.checkpoint.summary()}")
    for entry in found.videos:
        if "skipped" in entry:
            print(f"{entry['path']} left out: {entry['skipped']}")
        else:
            early = f", decoding ended early: {entry['ended_by']}" if entry["ended_by"] else ""
            times = ""
            if mended := entry.get("times_mended"):
                places = f"{mended} place{'s' * (mended > 1)}"
                times = f", its timestamps restarted or jumped in {places}: corrected by frame durations"
            print(f"{entry['file']}: {counted(entry['clips'], 'clip')} of {entry['seconds']:.1f} s{early}{times}")
    if found.ended_early:
        print(
            closing_line(found.ended_early, "their features come from the frames before", f"{found.index} lists them")
        )
    if found.resumed == len(found.videos):
        print(
            f"nothing to do: {counted(found.resumed, 'video')} {'is' if found.resumed == 1 else 'are'} already "
            f"extracted with the same settings, listed in "
            f"{found.index} (--resume=0 extracts them again)"
        )
        return
    if found.resumed:
        verb = "was" if found.resumed == 1 else "were"
        print(f"{counted(found.resumed, 'video')} {verb} already extracted by an earlier run with the same settings")
    print(f"{counted(len(found.videos), 'video')}, {found.seconds:.1f} s on {engine}, listed in {found.index}")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv, several=True)


if __name__ == "__main__":
    sys.exit(main())
