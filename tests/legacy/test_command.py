"""python -m vmz.legacy and `import vmz.legacy`: a program runs as Python itself runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.legacy.running import ROOT, ended, legacy, reports

pytestmark = needs_caffe2  # where such programs run; each test is a process or two


def plain(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program under Python alone."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib"), **variables}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def program(folder: Path, text: str, name: str = "program.py") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


SAME = {
    "what it sees": (
        "import sys, os, inspect\nprint(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__, __doc__)\n"
        "print(sys.modules['__main__'].__dict__ is globals(), sorted(globals()))\n"
    ),
    "a number": "import sys\nprint('out')\nsys.exit(5)\n",
    "a text": "import sys\nsys.exit('bye')\n",
    "nothing": "raise SystemExit\n",
    "an error": "def f(n):\n    return 1 // n\n\nf(0)\n",
    "a chain": "try:\n    {}[1]\nexcept KeyError as e:\n    raise ValueError('b') from e\n",
    "a syntax error": "x = 1\ny = = 2\n",
    "a missing module": "import nowhere_to_be_found\n",
    "an error on import": "import broken\n",
    "an excepthook": "import sys\nsys.excepthook = lambda kind, error, trace: print(kind, trace.tb_lineno)\n1 / 0\n",
    "atexit": "import atexit\natexit.register(print, 'end')\nraise ValueError('x')\n",
    "a future import": "from __future__ import annotations\ndef f(a: nowhere): pass\nprint(f.__annotations__)\n",
}


@pytest.mark.parametrize("name", SAME)
def test_it_is_as_under_python_alone(name: str, tmp_path: Path) -> None:
    program(tmp_path, "def f():\n    raise OSError('inside')\nf()\n", "broken.py")
    path = program(tmp_path, SAME[name])
    wanted = plain(path, "--flag", "-x", "--", "word")
    found = legacy(path, "--flag", "-x", "--", "word", VMZ_LEGACY_QUIET="1")
    assert (found.returncode, found.stdout) == (wanted.returncode, wanted.stdout)
    ours = [line for line in found.stderr.splitlines() if not line.startswith("vmz.legacy: if ")]
    assert ours == wanted.stderr.splitlines()


def test_an_interrupt_ends_it_as_it_ends_python(tmp_path: Path) -> None:
    handled = (
        "import os, signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # not so after a shell's &
    )
    path = program(tmp_path, f"{handled}os.kill(os.getpid(), signal.SIGINT)\n")
    found, wanted = legacy(path, VMZ_LEGACY_QUIET="1"), plain(path)
    assert found.returncode == wanted.returncode == -signal.SIGINT
    assert found.stderr == wanted.stderr


def test_a_program_of_python_2_is_told_of_the_flag(tmp_path: Path) -> None:
    shuffle = "import random\nnumbers = range(3)\nrandom.shuffle(numbers)\n"
    for text in ("print 'a'\n", "{}.iteritems()\n", "range(5 / 2)\n", shuffle, "len(map(str, []))\n", "[0][:1 / 1]\n"):
        ran = legacy(program(tmp_path, text))
        assert ran.returncode == 1
        assert ran.stderr.splitlines()[-1] == "vmz.legacy: if this is a program for Python 2, run it with --py2"


def test_a_missing_package_is_told_by_the_name_to_install(tmp_path: Path) -> None:
    pip = f"{sys.executable} -m pip install"
    for module, package in (("skvideo.io", "sk-video"), ("detectron", "detectron")):
        told = legacy(program(tmp_path, f"import {module}\n")).stderr.splitlines()[-1]
        name = module.partition(".")[0]
        assert told == f"vmz.legacy: if the program needs a package for {name}: {pip} {package}"
    gone = legacy("--without=old-modules", program(tmp_path, "import Queue\n"))
    assert gone.returncode == 1 and "pip" not in gone.stderr


@pytest.mark.parametrize(
    "arguments, status, sentence",
    [
        (["nowhere.py"], 2, "error: cannot read the program nowhere.py: No such file or directory; give the path of a"),
        (["--without=nix", __file__], 2, "error: there is no mend 'nix' to leave out; choose from: old-modules, "),
        (["."], 2, "error: . is a folder; name the program's own file, such as ./train_net.py"),
        ([], 2, "error: no program is named; give the path of a Python file, such as tools/train_net.py"),
        (["--py3", __file__], 2, "error: unrecognized arguments: --py3"),
    ],
)
def test_a_wrong_request_is_one_sentence(arguments: list[str], status: int, sentence: str) -> None:
    ran = legacy(*arguments)
    assert ran.returncode == status
    assert ran.stderr.startswith(sentence) and ran.stderr.count("\n") == 1


def test_help_names_every_mend() -> None:
    text = ended(legacy("--help"))
    for name in ("cpickle", "pickle", "numpy", "checkpoint", "operators", "threads", "gpu", "imports", "--py2"):
        assert name in text


def test_mends_are_left_out_by_the_environment_too(tmp_path: Path) -> None:
    path = program(tmp_path, "import cPickle\n")
    ran = legacy(path, VMZ_LEGACY_WITHOUT="cpickle,threads")
    assert ran.returncode == 1 and "No module named 'cPickle'" in ran.stderr and not reports(ran)
    assert legacy(path, VMZ_LEGACY_WITHOUT="nix").returncode == 2


def test_reports_come_once_and_can_be_silenced(tmp_path: Path) -> None:
    path = program(tmp_path, "import Queue, ConfigParser\nfrom string import letters, lowercase\n")
    ran = legacy(path)
    assert reports(ran) == ["threads", "old-modules", "old-names"]
    assert legacy(path, VMZ_LEGACY_QUIET="1").stderr == ""


def test_as_the_first_line_of_a_program(tmp_path: Path) -> None:
    program(tmp_path, "def count(): return [i for i in xrange(2)]\n", "own.py")
    path = program(tmp_path, "import vmz.legacy\nimport cPickle, own\nprint(unicode(1), own.count())\n1 / 0\n")
    ran = plain(path, VMZ_LEGACY_QUIET="1")
    assert ran.stdout == "1 [0, 1]\n" and ran.returncode == 1
    lines = [line for line in ran.stderr.splitlines() if not set(line) <= set(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 4, in <module>',
        "    1 / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_names_reach_no_further_than_the_program(tmp_path: Path) -> None:
    """A package of the environment that asks for Python 2's names is given none."""
    program(tmp_path, "NAMES = 'xrange' in globals()\n", "site-packages/other.py")
    text = "def has():\n    try:\n        return bool(xrange)\n    except NameError:\n        return False\n"
    program(tmp_path, text.replace("NameError", "BaseException"), "site-packages/third.py")
    path = program(
        tmp_path, "import sys\nsys.path.append('site-packages')\nimport third\nprint(third.has(), len(xrange(3)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    ran = subprocess.run(
        [sys.executable, "-m", "vmz.legacy", path],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended(ran) == "False 3\n"


PACKAGES = "import utils, models\nprint(utils.__file__, models.__file__)\n"


def whose(folder: Path, *before: str, path: str = "") -> list[str]:
    ran = legacy(program(folder, "\n".join([*before, PACKAGES]), "tools/program.py"), path=path)
    return ["ours" if "vmz" in word else "its own" for word in ended(ran).split()]


def test_whose_models_and_utils_are_imported(tmp_path: Path) -> None:
    assert whose(tmp_path) == ["ours", "ours"]
    program(tmp_path, "", "tools/models/weights.pkl")  # a folder of checkpoints is no package
    assert whose(tmp_path) == ["ours", "ours"]
    for package in ("models", "utils"):
        program(tmp_path, "", f"lib/{package}/__init__.py")
    lib = str(tmp_path / "lib")
    assert whose(tmp_path, path=lib) == ["its own", "its own"]
    assert whose(tmp_path, f"import sys\nsys.path.append({lib!r})") == ["its own", "its own"]
    assert whose(tmp_path, f"import sys\nsys.path.insert(0, {lib!r})") == ["its own", "its own"]
    (tmp_path / "lib" / "utils" / "__init__.py").unlink()
    assert whose(tmp_path, path=lib) == ["ours", "its own"]
    program(tmp_path, "", "lib/utils/helpers.py")  # Python 3 needs no __init__.py
    ran = legacy(
        program(tmp_path, "from utils import helpers\nprint(helpers.__file__)\n", "tools/program.py"), path=lib
    )
    assert ended(ran).strip() == f"{lib}/utils/helpers.py"
    stray = tmp_path / "site-packages"  # an environment's utils does not hide the original's
    program(tmp_path, "", "site-packages/utils/__init__.py")
    assert whose(tmp_path, path=str(stray)) == ["ours", "ours"]


def test_without_the_original_imports(tmp_path: Path) -> None:
    ran = legacy("--without=imports", program(tmp_path, "import models\n"))
    assert ran.returncode == 1 and "No module named 'models'" in ran.stderr


def test_the_programs_own_files_are_translated_and_no_others(tmp_path: Path) -> None:
    program(tmp_path, "def half(n): return n / 2\n", "lib/own.py")
    program(tmp_path, "def half(n): return n / 2\n", "elsewhere/other.py")
    (tmp_path / "project").mkdir()
    for part in ("lib", "tools"):
        (tmp_path / "project" / part).mkdir()
    (tmp_path / "lib" / "own.py").rename(tmp_path / "project" / "lib" / "own.py")
    path = program(tmp_path, "import own, other\nprint own.half(5), other.half(5)\n", "project/tools/program.py")
    search = f"{tmp_path / 'project' / 'lib'}{os.pathsep}{tmp_path / 'elsewhere'}"
    assert ended(legacy("--py2", path, path=search)) == "2 2.5\n"
    assert not list(tmp_path.rglob("__pycache__/*own*"))


def test_neighbours_are_found_as_python_2_found_them(tmp_path: Path) -> None:
    program(tmp_path, "import names\nfrom names import VALUE\nimport string\n", "package/__init__.py")
    program(tmp_path, "VALUE = 'beside'\n", "package/names.py")
    program(
        tmp_path, "from __future__ import absolute_import\nimport names\nVALUE = names.VALUE\n", "package/absolute.py"
    )
    program(tmp_path, "VALUE = 'above'\n", "names.py")
    path = program(
        tmp_path,
        "from package import absolute\nimport package\n"
        "print package.VALUE, absolute.VALUE, package.string.letters[0]\n",
    )
    assert ended(legacy("--py2", path)) == "beside above a\n"


def test_what_cannot_be_translated_ends_in_a_sentence(tmp_path: Path) -> None:
    program(tmp_path, "def f():\n    return (1,\n", "broken.py")
    path = program(tmp_path, "import broken\n")
    ran = legacy("--py2", path, VMZ_LEGACY_QUIET="1")
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith(f"error: {tmp_path / 'broken.py'}, line ") and ran.stderr.count("\n") == 1


def test_text_and_bytes_of_python_2(tmp_path: Path) -> None:
    """A file read as text and written again keeps its bytes; pickles, CSVs and prints too."""
    (tmp_path / "in.bin").write_bytes(bytes(range(256)) + "\u00e9\r\n".encode())
    text = (
        "import cPickle, csv, sys\ndata = open('in.bin').read()\nopen('out.bin', 'w').write(data)\n"
        "open('raw.bin', 'wb').write(data)\nwith open('a.csv', 'wb') as f: csv.writer(f).writerow(['a', 2])\n"
        "print [r for r in csv.reader(open('a.csv', 'rb'))]\ncPickle.dump({'a': [1]}, open('a.pkl', 'w'), 2)\n"
        "print cPickle.load(open('a.pkl')), len(open('a.csv').readlines())\nsys.stdout.write('\\xff\\n')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib"), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "vmz.legacy", "--py2", program(tmp_path, text)]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == b"[['a', '2']]\n{'a': [1]} 1\n\xff\n"
    for name in ("out.bin", "raw.bin"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "in.bin").read_bytes()
