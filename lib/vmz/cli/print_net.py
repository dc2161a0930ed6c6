"""Print a network: every op with its output shape, parameters and multiply-adds, or both NetDefs as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from vmz.cli.shared.options import add_own, add_settings, config_of, parse, require_checkpoint
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.cli.shared.settings_report import announce
from vmz.errors import UsageError
from vmz.features.config import ExtractionConfig
from vmz.file_formats.json_files import parse_json, read_json
from vmz.inspection.print_net import model_from_golden, model_to_json, table
from vmz.models.registry import TEST_NET_NAME, build
from vmz.settings.clips import ClipSettings
from vmz.settings.kinds import switch
from vmz.settings.network import NetworkSettings, hearing_input, model_config
from vmz.settings.reader import FlowSettings
from vmz.settings.resolution import DEFAULT, Resolution
from vmz.settings.setting import settings_of


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "tools/print_net.py --model_name=ir-csn --model_depth=152 --crop_size=224")
    add_own(parser, "published model", ExtractionConfig, ("zoo", "protocol"))
    add_own(parser, "checkpoint", ExtractionConfig, ("load_model_path", "db_type", "eps"))
    network = (*settings_of(NetworkSettings), "input_type", "clip_length_of", "flow_data_type")
    add_settings(parser, "network", NetworkSettings, FlowSettings, names=network)
    parser.add_argument(
        "--is_test", type=switch, default=1, help="1: the testing net, 0: the training net (forward part)"
    )
    parser.add_argument(
        "--net_name", default=TEST_NET_NAME, metavar="NAME", help="name of the net; automatic blob names carry it"
    )
    parser.add_argument("--json", action="store_true", help="both NetDefs and the parameter lists as one line of JSON")
    parser.add_argument(
        "--config", metavar="FILE", help="JSON: a {build_args, is_test, net_name}, or a list; '-': stdin"
    )
    options = parse(parser, argv, ExtractionConfig.use)
    require_checkpoint(options)
    announce(options.resolution, sys.stderr)
    if options.config is not None:
        return print_configs(read_configs(options.config), options.json)
    model = build(
        model_config(_with_its_input(config_of(ClipSettings, options), options.resolution)),
        bool(options.is_test),
        options.net_name,
        use_cudnn=bool(options.use_cudnn),
    )
    print(json.dumps(model_to_json(model)) if options.json else table(model))
    return 0


def _with_its_input(settings: ClipSettings, resolution: Resolution) -> ClipSettings:
    """No videos are read: a network that hears needs no --input_type that says so."""
    wanted = hearing_input(settings.model_name)
    if wanted is None or resolution.settings["input_type"].source != DEFAULT:
        return settings
    return replace(settings, input_type=wanted)


def read_configs(path: str) -> list[dict[str, Any]]:
    """The configurations of a JSON file, one or a list of them. Raises UsageError naming the file."""
    what = f"--config={path}"
    found = parse_json(sys.stdin.read(), what) if path == "-" else read_json(Path(path), what)
    configs = found if isinstance(found, list) else [found]
    for number, config in enumerate(configs):
        if not isinstance(config, dict) or "build_args" not in config:
            raise UsageError(
                f"--config={path}: entry {number} has no build_args; each entry is a {{build_args, is_test, net_name}}"
            )
    return configs


def print_configs(configs: list[dict[str, Any]], as_json: bool) -> int:
    """One answer each, in order; a configuration that is refused gets its error as answer, and makes the status 2."""
    status = 0
    for config in configs:
        try:
            model = model_from_golden(config)
        except UsageError as error:
            status = error.exit_status
            print(json.dumps({"config": config, "error": str(error)}) if as_json else f"error: {error}")
        else:
            print(json.dumps({"config": config, **model_to_json(model)}) if as_json else table(model))
    return status


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
