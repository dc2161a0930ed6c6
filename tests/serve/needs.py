"""Skips the tests of a module that imports this one, where the extra [serve] is not installed."""

from __future__ import annotations

import pytest

for package in ("starlette", "uvicorn", "python_multipart"):
    pytest.importorskip(package, reason=f'{package} is not installed: pip install "vmz[serve]"')
