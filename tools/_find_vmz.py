"""Imported first by the scripts here: finds VMZ in its clone where it is not installed, or says what is missing."""

import importlib.util
import os
import shlex
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = ("torch", "numpy", "google.protobuf", "lmdb", "av", "tqdm", "sklearn", "jinja2")


def is_here(package):
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def remedy():
    """The command that works here, where an environment of this clone is."""
    for name in (".venv", ".venv-caffe2"):
        python = os.path.join(ROOT, name, "bin", "python")
        if os.path.exists(python):
            shown = os.path.relpath(python) if os.getcwd() == ROOT else python
            return "run: " + " ".join(shlex.quote(word) for word in [shown, *sys.argv])
    return f"run `make setup` in {ROOT}, which creates .venv with all of them"


if not is_here("vmz"):
    sys.path.append(os.path.join(ROOT, "lib"))
missing = [package for package in PACKAGES if not is_here(package)]
if missing or sys.version_info < (3, 9):
    version = ".".join(map(str, sys.version_info[:2]))
    why = f"it has no {', '.join(missing)}" if missing else "3.9 is the oldest that will do"
    print(f"error: VMZ cannot run in Python {version} at {sys.executable}: {why}; {remedy()}", file=sys.stderr)
    sys.exit(2)
