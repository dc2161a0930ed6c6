"""Serve a page where a video is dropped or recorded and its classes are shown, and the same as an HTTP API."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from vmz import stopping
from vmz.cli.shared.options import add_own, config_of, parse, save_config
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.cli.shared.scoring_flags import add_scoring_flags
from vmz.cli.shared.settings_report import announce
from vmz.engines.registry import check_engine
from vmz.extras import require
from vmz.files import check_outputs
from vmz.serve.config import NOT_HERE, ServeConfig

EXAMPLE = "vmz serve --zoo=r2plus1d_34_clip8_ft_kinetics_from_ig65m --views=one"
NEEDED = ("starlette", "uvicorn", "python_multipart")
SERVER = ("host", "port", "allow_host", "max_upload_mb", "queue", "request_timeout")


def serve_parser() -> Parser:
    parser = Parser(str(__doc__), EXAMPLE)
    add_own(parser, "server", ServeConfig, SERVER)
    add_own(parser, "model", ServeConfig, ("zoo", "load_model_path", "protocol", "label_names"))
    prediction = ("top_k", "views", "stride_seconds", "aggregation", "attention", "attention_blob")
    add_own(parser, "prediction", ServeConfig, prediction)
    add_scoring_flags(parser, ServeConfig, NOT_HERE)
    return parser


def configuration(argv: Sequence[str]) -> ServeConfig:
    """What the command makes of its arguments."""
    return config_of(ServeConfig, parse(serve_parser(), argv, ServeConfig.use))


def work(argv: Sequence[str]) -> int:
    options = parse(serve_parser(), argv, ServeConfig.use, fetch=True)
    for module in NEEDED:
        require(module, "serve", "vmz serve")
    config = config_of(ServeConfig, options)
    check_engine(config.engine)
    check_outputs(options, ("save_config",))
    announce(config.resolution)
    save_config(options, config)

    from vmz.serve.page import stays_here
    from vmz.serve.server import Running, serve
    from vmz.serve.worker import is_left_behind

    if not stays_here(config.host):
        print(
            f"warning: --host={config.host}: whoever reaches this address can send videos to it; there is no password",
            file=sys.stderr,
        )

    def started(running: Running) -> None:
        environment = running.model.environment
        print(f"{running.model.name}; on {environment['engine']}, {environment['device']}")
        print(f"serving at {running.address} ; Ctrl-C stops the server", flush=True)

    try:
        serve(config, started, debug=options.debug)
    except KeyboardInterrupt as error:
        if is_left_behind():
            stopping.end_now(error)
        raise
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
