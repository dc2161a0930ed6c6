"""The two packages as programs find them: on PYTHONPATH, beside modules of their own, with loggers that print."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.real_caffe2 import needs_caffe2, without_caffe2
from tests.legacy.original import ORIGINAL


def run(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


LIB = ORIGINAL.parents[2]


@needs_caffe2
def test_the_loggers_print_without_further_ado() -> None:
    """As the original's do: train_net sets up no logging of its own."""
    done = run("from models import model_builder; model_builder.model_validation('r3d', 18, 8, 112)", LIB, ORIGINAL)
    assert done.returncode == 0, done.stderr
    assert "INFO:model_builder:Validated: r3d with 18 layers" in done.stderr


@needs_caffe2
def test_the_folder_alone_on_the_path_is_enough() -> None:
    done = run("import utils.metric, vmz; print(vmz.__file__)", ORIGINAL)
    assert done.returncode == 0, done.stderr


@needs_caffe2
def test_a_program_s_own_modules_win() -> None:
    """One that brings its own `utils` still gets our `models`, which needs none of ours."""
    done = run(
        "import sys; sys.path.insert(0, 'own'); import types; sys.modules['utils'] = own = types.ModuleType('utils');"
        "from models import model_builder, c3d_model, r3d_model; from models.loss import loss_creator;"
        "from models.builder import video_model; import utils; assert utils is own",
        LIB, ORIGINAL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@without_caffe2
@pytest.mark.parametrize("module", ["models", "utils", "models.model_builder", "utils.metric"])
def test_without_caffe2_one_sentence_says_so(module: str) -> None:
    done = run(f"import {module}", LIB, ORIGINAL)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "models and utils need Caffe2, which this Python does not have; " in last
    caught = run(f"try:\n    import {module}\nexcept ImportError:\n    print('caught')", LIB, ORIGINAL)
    assert caught.stdout == "caught\n"


@needs_caffe2
def test_importing_sets_the_loggers_level_alone() -> None:
    from models import r3d_model

    assert r3d_model.log.name == "r3d_model" and r3d_model.log.level == logging.INFO
