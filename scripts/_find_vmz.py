"""As tools/_find_vmz.py."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location(__name__, Path(__file__).resolve().parents[1] / "tools" / "_find_vmz.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))
