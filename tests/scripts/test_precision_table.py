"""The table of docs/internals/precision.md: what counts as a changed rank."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "scripts" / "precision_table.py"


@pytest.fixture(scope="module")
def table() -> Any:
    spec = importlib.util.spec_from_file_location("precision_table", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row(table: Any) -> None:
    full = np.array([[0.4, 0.3, 0.1, 0.1, 0.06, 0.04], [0.4, 0.3, 0.1, 0.1, 0.06, 0.04]], np.float32)
    half = full.copy()
    half[0, :2] = 0.3, 0.4  # another first, the same five
    half[1, 4:] = 0.04, 0.06  # another fifth
    assert table.row("net", "seeded", full, half) == "| net | seeded | 2 | 2.0e-02 | 1.0e-01 | 1 of 2 | 1 of 2 |"


def test_a_folder_without_videos(table: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="could be read"):
        table.clips_of(tmp_path, 4, None)
