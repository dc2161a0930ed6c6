"""The C++ unit tests of the operators' core."""

import subprocess

from tests.ops.helpers.operator import LIBRARY, needs_library


@needs_library
def test_core():
    result = subprocess.run([LIBRARY.parent / "core_test"], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
