"""What a Python without Caffe2 says: the command that works, or how to get there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.real_caffe2 import HAS_CAFFE2
from vmz.engines.caffe2_engine import here
from vmz.engines.caffe2_engine.here import NoCaffe2Error, check_caffe2


def test_the_command_that_works_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / ".venv-caffe2" / "bin" / "python"
    monkeypatch.setattr(here, "CLONE", tmp_path)
    monkeypatch.setattr(here, "CAFFE2_PYTHON", python)
    command = ["tools/test_net.py", "--test_data", "my db", "--engine=caffe2"]
    error = NoCaffe2Error("why")
    assert f"here (why); `make setup-caffe2` in {tmp_path} creates .venv-caffe2" in str(error)
    assert error.for_command(command) == str(error)
    python.parent.mkdir(parents=True)
    python.touch()
    error = NoCaffe2Error("why")
    assert f"{python} has it" in str(error)
    assert error.for_command(command).endswith(f"; run: {python} tools/test_net.py --test_data 'my db' --engine=caffe2")
    assert error.for_command(["tools/test_net.py"]).endswith(f"; run: {python} tools/test_net.py --engine=caffe2")
    monkeypatch.chdir(tmp_path)
    assert error.for_command(command).endswith(
        "; run: .venv-caffe2/bin/python tools/test_net.py --test_data 'my db' --engine=caffe2"
    )


def test_it_is_told_before_an_import() -> None:
    if HAS_CAFFE2:
        check_caffe2()
    else:
        with pytest.raises(NoCaffe2Error, match="no module named caffe2"):
            check_caffe2()
