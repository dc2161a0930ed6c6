"""A script run as Python itself runs it: sys.argv, sys.path, __main__, exit status, tracebacks of its own frames."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any, Optional

from vmz.engines.caffe2_engine.here import where_caffe2_is
from vmz.errors import UsageError, VmzError
from vmz.mends.old_names import GONE
from vmz.mends.program import Program
from vmz.mends.python2 import builtins_of_python2
from vmz.mends.python2.source import CannotTranslate

HERE = os.path.dirname(__file__)
# What an uncaught error says when the program is Python 2 through and through: (type, part of its text).
OF_PYTHON_2 = (
    (SyntaxError, "Missing parentheses in call to 'print'"),
    (SyntaxError, "Missing parentheses in call to 'exec'"),
    (SyntaxError, "leading zeros in decimal integer literals"),
    (SyntaxError, "invalid syntax"),
    (SyntaxError, "invalid token"),
    (TabError, ""),
    (AttributeError, "object has no attribute 'iteritems'"),
    (AttributeError, "object has no attribute 'iterkeys'"),
    (AttributeError, "object has no attribute 'itervalues'"),
    (AttributeError, "object has no attribute 'has_key'"),
    (AttributeError, "'dict_keys' object has no attribute"),
    (AttributeError, "'generator' object has no attribute 'next'"),
    (AttributeError, "'str' object has no attribute 'decode'"),
    (TypeError, "'range' object does not support item assignment"),
    (TypeError, "slice indices must be integers"),
    (TypeError, "unsupported operand type(s) for +: 'range' and"),
    (TypeError, "unsupported operand type(s) for +: 'dict_"),
    (TypeError, "object of type 'map' has no len()"),
    (TypeError, "object of type 'filter' has no len()"),
    (TypeError, "object of type 'zip' has no len()"),
    (TypeError, "'float' object cannot be interpreted as an integer"),
    (TypeError, "'dict_keys' object is not subscriptable"),
    (TypeError, "'dict_values' object is not subscriptable"),
    (TypeError, "'map' object is not subscriptable"),
    (TypeError, "'filter' object is not subscriptable"),
    (TypeError, "'zip' object is not subscriptable"),
)
# What a package is called where its module has another name.
PACKAGES = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "skvideo": "sk-video",
    "yaml": "pyyaml",
}


def read_script(path: str) -> bytes:
    """The source of the program. Raises UsageError where there is no such file."""
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder; name the program's own file, such as {path.rstrip('/')}/train_net.py")
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UsageError(f"cannot read the program {path}: {error.strerror}; give the path of a Python file") from error


def run_script(path: str, source: bytes, arguments: Sequence[str], python2: bool = False) -> None:
    """Run it as __main__; sys.argv and sys.path[0] are its own. Returns when it ends, SystemExit passes.

    Any other exception is shown with sys.excepthook, without frames that are not the program's, and then raised for
    the exit status. Raises CannotTranslate for what `python2` cannot make of its sources.
    """
    sys.argv[:] = [path, *arguments]
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    program = Program(path)
    main = _main_module(os.path.abspath(path))
    try:
        if python2:
            from vmz.mends.python2 import hook

            hook.watch(program)
            code = hook.prepare(main, source, str(main.__file__))
        else:
            builtins_of_python2.watch(program)
            code = builtins_of_python2.compiled(source, str(main.__file__))
            text = importlib.machinery.SourceFileLoader("__main__", path).get_source("__main__") or ""
            builtins_of_python2.supply_builtins(main, text, path)
        exec(code, main.__dict__)
    except (SystemExit, CannotTranslate):
        raise
    except BaseException as error:
        _show(error, python2)
        raise


def _main_module(path: str) -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(
        __builtins__=builtins,
        __file__=path,
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", path),
        __annotations__={},
    )
    sys.modules["__main__"] = main
    return main


def _show(error: BaseException, python2: bool) -> None:
    """Print it as Python would, then keep Python from printing it again on its way out."""
    if isinstance(error, VmzError):
        error.already_reported = True
    show_only_own_frames(error)
    sys.excepthook(type(error), error, error.__traceback__)
    if not python2 and any(isinstance(error, kind) and part in str(error) for kind, part in OF_PYTHON_2):
        print("vmz.legacy: if this is a program for Python 2, run it with --py2", file=sys.stderr)
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "caffe2":
        print(f"vmz.legacy: this Python has no Caffe2; {where_caffe2_is()}", file=sys.stderr)
    elif isinstance(error, ModuleNotFoundError) and error.name and error.name not in GONE:
        name = error.name.partition(".")[0]
        command = f"{sys.executable} -m pip install {PACKAGES.get(name, name)}"
        print(f"vmz.legacy: if the program needs a package for {name}: {command}", file=sys.stderr)
    sys.excepthook = _print_nothing


def show_only_own_frames(error: Optional[BaseException]) -> None:
    """Take the frames of the mends, and of what they call to import, out of the error's tracebacks."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = _own_frames(error.__traceback__)
        show_only_own_frames(error.__cause__)
        error = error.__context__


def _own_frames(trace: Optional[TracebackType]) -> Optional[TracebackType]:
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    files = [each.tb_frame.f_code.co_filename for each in frames]
    inside = max((place for place, file in enumerate(files) if file == __file__), default=-1)
    found: Optional[TracebackType] = None
    for each, file in reversed(list(zip(frames[inside + 1 :], files[inside + 1 :]))):
        if not file.startswith((HERE + os.sep, "<frozen importlib")):
            found = TracebackType(found, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return found


def _print_nothing(*_: Any) -> None:
    """In place of sys.excepthook once an error has been shown."""
