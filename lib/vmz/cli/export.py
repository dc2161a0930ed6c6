"""Write a model for other programs: ONNX, torch.export or Caffe2 nets. Runs on PyTorch; real Caffe2 runs the nets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Optional

from vmz.cli.shared.options import add_config_flags, add_own, add_settings, config_of, parse, save_config
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.cli.shared.settings_report import announce
from vmz.errors import UsageError
from vmz.export.config import ExportConfig
from vmz.outputs import Output, in_progress
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.settings.setting import settings_of

EXAMPLE = "vmz export --zoo=ir_csn_50_ft_kinetics_from_ig65m --output=ir_csn_50.onnx"


# Settings of a database and of a machine: a model has none of them.
_NOT_HERE = {
    "test_data", "use_local_file", "image_as_input", "batch_size", "num_decode_threads", "video_timeout",
    "on_bad_video", "on_missing_audio",
}  # fmt: skip


def export_parser() -> Parser:
    parser = Parser(str(__doc__), EXAMPLE)
    add_own(parser, "model", ExportConfig, ("zoo", "load_model_path", "protocol"))
    add_own(parser, "export", ExportConfig, ("output", "verify"))
    add_settings(parser, "network", NetworkSettings)
    clips = [name for name in settings_of(ReaderSettings, ViewSettings) if name not in _NOT_HERE]
    add_own(parser, "clips, which a model of VMZ's own tools keeps", ExportConfig, (*clips, "aggregation"))
    add_settings(parser, "weights", CheckpointSettings)
    add_own(parser, "other", ExportConfig, ("seed", "random_weights"))
    add_config_flags(parser)
    return parser


def configuration(argv: Sequence[str]) -> ExportConfig:
    """What the command makes of its arguments."""
    return config_of(ExportConfig, parse(export_parser(), argv, ExportConfig.use))


def work(argv: Sequence[str]) -> int:
    options = parse(export_parser(), argv, ExportConfig.use, fetch=True)
    config = config_of(ExportConfig, options)
    if not config.output:
        raise UsageError(f"no output is given; name the files to write, as in: {EXAMPLE}")
    from vmz.export.formats import check_form, export, outputs_of  # PyTorch: what is wrong is said before
    from vmz.model.loading import module_of

    for path in config.output:
        check_form(path)
    announce(config.resolution)
    files: list[Any] = [Output("--output", path) for name in config.output for path in outputs_of(name)]
    with in_progress(*files, options=options):
        save_config(options, config)
        model = module_of(config, bool(config.random_weights))
        for path in config.output:
            print(export(model, path, bool(config.verify)).line(), flush=True)
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
