"""Packages of an extra, imported where they are used: without one, the error names the extra."""

from __future__ import annotations

import importlib
from typing import Any

from vmz.errors import UsageError

# What a module's package is called, where that is another name.
PACKAGES = {
    **{"PIL": "Pillow", "sklearn": "scikit-learn", "cv2": "OpenCV", "python_multipart": "python-multipart"},
    "torch.utils.tensorboard": "TensorBoard",
}


def require(module: str, extra: str, what: str) -> Any:
    """The module. extra: one of pyproject.toml. Raises UsageError, "`what` needs ...", where it cannot be imported.

    >>> require("json", "hub", "a file").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        package = PACKAGES.get(module, PACKAGES.get(name, name))
        why = "" if isinstance(error, ModuleNotFoundError) else f", which cannot be loaded ({error})"
        raise UsageError(f'{what} needs {package}{why}: pip install "vmz[{extra}]"') from error
