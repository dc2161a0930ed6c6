"""What holds for every test: the scripts' own modules are found, and no setting of the person who runs them counts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))  # where a script of tools/ looks first
os.environ.pop("VMZ_ENGINE", None)
