"""Packages of an extra, imported where they are used: without one, the error names the extra."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from vmz.errors import UsageError

# What a module's package is called, where that is another name.
PACKAGES = {
    **{"PIL": "Pillow", "sklearn": "scikit-learn", "cv2": "OpenCV", "openvino": "OpenVINO"},
    "python_multipart": "python-multipart",
    "torch.utils.tensorboard": "TensorBoard",
}


def find(module: str, extra: str, what: str) -> None:
    """Raise UsageError as `require` does where there is no such module, without importing it."""
    if importlib.util.find_spec(module) is None:
        raise UsageError(missing(module, extra, what))


def missing(module: str, extra: str, what: str, why: str = "") -> str:
    """The sentence that names the package and the extra."""
    package = PACKAGES.get(module, PACKAGES.get(module.partition(".")[0], module.partition(".")[0]))
    return f'{what} needs {package}{why}: pip install "vmz[{extra}]"'


def require(module: str, extra: str, what: str) -> Any:
    """The module. extra: one of pyproject.toml. Raises UsageError, "`what` needs ...", where it cannot be imported.

    >>> require("json", "hub", "a file").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        why = "" if isinstance(error, ModuleNotFoundError) else f", which cannot be loaded ({error})"
        raise UsageError(missing(module, extra, what, why)) from error
