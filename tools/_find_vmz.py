"""Imported first by the scripts here: finds VMZ in its clone where it is not installed, or says what is missing.

From here on, while VMZ and PyTorch are imported, Ctrl-C and SIGTERM end the script at once: nothing has been written.
`vmz.stopping` takes over from it.
"""

import os
import signal
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def end_at_once(number, frame):
    try:
        os.write(2, b"interrupted\n" if number == signal.SIGINT else b"stopped by SIGTERM\n")
    finally:
        os._exit(128 + number)


script = os.path.abspath(getattr(sys.modules["__main__"], "__file__", None) or "")
if os.path.dirname(os.path.dirname(script)) == ROOT:  # and not a program that imports one of them, such as pytest
    for one in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, end_at_once)

import importlib.util  # noqa: E402
import shlex  # noqa: E402

PACKAGES = ("torch", "numpy", "google.protobuf", "lmdb", "av", "tqdm", "jinja2")


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
