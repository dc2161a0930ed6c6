"""Each mend by itself: a small program that fails without it, says which mend helped, and fails with --without it."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.legacy.running import ROOT, ended, legacy, reports

pytestmark = needs_caffe2  # where such programs run
# {mend: (a program, what it prints)}; each runs in a folder with the files that `files` makes
PROGRAMS = {
    "builtins": ("for i in xrange(2): print(unicode(i), reduce(max, [i, 1]))", "0 1\n1 1\n"),
    "old-modules": (
        "import Queue, ConfigParser, urllib2, urlparse, commands, xml.etree.cElementTree as ET\n"
        "from StringIO import StringIO\nimport cStringIO\n"
        "print(Queue.Queue().empty(), commands.getoutput('echo a'), urllib2.URLError.__name__, StringIO(b'x').read())\n"
        "out = cStringIO.StringIO()\nout.write('text')\nprint(out.getvalue(), ET.fromstring('<a/>').tag)",
        "True a URLError b'x'\ntext a\n",
    ),
    "old-names": (
        "import string, sys, os, time, itertools, urllib, types\nfrom itertools import izip\n"
        "print(string.letters[:2], sys.maxint > 2 ** 60, os.getcwdu() == os.getcwd(), time.clock() >= 0)\n"
        "print(list(izip([1], [2])), urllib.quote('a b'), isinstance('', types.StringTypes), string.join(['a', 'b']))\n"
        "os.path.walk('.', lambda seen, folder, names: seen.append(folder), [])",
        "ab True True True\n[(1, 2)] a%20b True a b\n",
    ),
    "numpy": ("import numpy as np\nprint(np.asscalar(np.array([3])), np.rank(np.zeros((2, 2))))", "3 2\n"),
    "numpy-load": ("import numpy as np\nprint(np.load('objects.npy').item())", "{'a': 1}\n"),
    "cpickle": (
        "import cPickle\nf = open('c.pkl', 'w')\np = cPickle.Pickler(f, 2)\np.dump([1])\nf.close()\n"
        "print(cPickle.loads(cPickle.dumps([1])), cPickle.Unpickler(open('c.pkl')).load())",
        "[1] [1]\n",
    ),
    "pickle": (
        "import pickle\nwith open('py2.pkl') as f: d = pickle.load(f)\nprint(d)\n"
        "with open('new.pkl', 'w') as f: pickle.dump([2], f)\nprint(pickle.load(open('new.pkl')))",
        "{'\xff': 1}\n[2]\n",
    ),
    "csv": (
        "import csv\nwith open('a.csv', 'wb') as f: csv.writer(f).writerow(['\xe9', 1])\n"
        "with open('a.csv', 'rb') as f: print(list(csv.reader(f)))",
        "[['\xe9', '1']]\n",
    ),
    "lmdb-text": (
        "import lmdb\nenv = lmdb.open('db')\nwith env.begin(write=True) as txn:\n    txn.put('k', 'v')\n"
        "with env.begin() as txn: print(txn.get('k'), list(txn.cursor()), txn.stat()['entries'])\n"
        "db = env.open_db('named') if env.info()['map_size'] < 0 else None\n"
        "with env.begin(db=db, write=True) as txn, env.begin(parent=txn, write=True) as child: child.put(b'l', 'w')\n"
        "print(isinstance(env, lmdb.Environment), env.stat()['entries'])",
        "b'v' [(b'k', b'v')] 1\nTrue 2\n",
    ),
    "threading": ("import threading\nprint(threading.Thread(target=print).isAlive())", "False\n"),
    "h5py": (
        "import h5py\nwith h5py.File('a.h5', 'w') as f: f['x'] = [1, 2]\n"
        "with h5py.File('a.h5', 'r') as f: print(f['x'].value.tolist())",
        "[1, 2]\n",
    ),
}
# The same for what needs Caffe2.
CAFFE2_PROGRAMS = {
    "operators": ("from caffe2.python import dyndep, core\nprint(core.Net('n').VideoInput([], ['d', 'l'])[0])", "d\n"),
    "global-init": (
        "from caffe2.python import workspace\n"
        "flags = ['--caffe2_log_level=2', '--caffe2_gone', '3', '--caffe2_keep_on_shrink=0', 'word']\n"
        "workspace.GlobalInit(['x'] + flags)\n"
        "print('started')",
        "started\n",
    ),
    "checkpoint": (
        "from caffe2.python import cnn, data_parallel_model\nm = cnn.CNNModelHelper(name='m')\nm._devices = [0]\n"
        "print(data_parallel_model.FinalizeAfterCheckpoint(m))",
        "Ignoring @/caffe2/caffe2/contrib/gloo:gloo_ops as it is not a valid file.\nNone\n",
    ),
    "device-names": (
        "from caffe2.proto import caffe2_pb2\no = caffe2_pb2.DeviceOption(device_type=caffe2_pb2.CUDA)\n"
        "o.cuda_gpu_id = 2\nprint(o.device_id)\nfrom caffe2.python import workspace\n"
        "workspace.SetDefaultGPUID(0)\nprint(workspace.GetDefaultGPUID(), len(workspace.GetCudaPeerAccessPattern()))",
        "2\n0 0\n",
    ),
    "tensor-text": (
        "from caffe2.proto import caffe2_pb2\nt = caffe2_pb2.TensorProtos().protos.add()\nt.string_data.append('a')\n"
        "t.string_data.extend(['b', b'c'])\nprint(list(t.string_data), len(t.string_data), t.string_data[0])",
        "[b'a', b'b', b'c'] 3 b'a'\n",
    ),
    "gpu": (
        "import numpy as np\nfrom caffe2.python import core, workspace\nfrom caffe2.proto import caffe2_pb2\n"
        "gpu = core.DeviceOption(caffe2_pb2.CUDA, 0)\nworkspace.FeedBlob('x', np.ones(2, np.float32), gpu)\n"
        "net = core.Net('n')\nnet.RunAllOnGPU()\n"
        "with core.DeviceScope(gpu):\n    workspace.FeedBlob('z', np.ones(2, np.float32))\n"
        "    net.Add(['x', 'z'], 'y')\n"
        "net.CopyGPUToCPU('y', 'w')\nworkspace.RunNetOnce(net)\n"
        "workspace.RunOperatorOnce(core.CreateOperator('Copy', ['w'], ['v'], device_option=gpu))\n"
        "print(workspace.FetchBlob('v').tolist())",
        "[2.0, 2.0]\n",
    ),
}

# What the program says without its mend, word for word, as docs/guide/coming_from_the_original.md quotes it.
ERRORS = {
    "operators": "AttributeError: Method VideoInput is not a registered operator. Did you mean: []",
    "checkpoint": "AttributeError: Method _shared_model is not a registered operator. Did you mean: []",
    "cpickle": "ModuleNotFoundError: No module named 'cPickle'",
    "numpy": "AttributeError: module 'numpy' has no attribute 'asscalar'",
    "pickle": "UnicodeDecodeError: 'utf-8' codec can't decode byte 0x80 in position 0: invalid start byte",
}
DOCUMENT = (ROOT / "docs" / "guide" / "coming_from_the_original.md").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    np.save(tmp_path / "objects.npy", np.array({"a": 1}, object))
    (tmp_path / "py2.pkl").write_bytes(b"\x80\x02}U\x01\xffK\x01s.")  # {'\xff': 1} by Python 2
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(folder: Path, name: str, source: str, printed: str) -> None:
    (folder / "program.py").write_text(source + "\n", encoding="utf-8")
    ran = legacy("program.py", PYTHONUTF8="1")
    assert ended(ran) == printed
    assert reports(ran).count(name) == 1
    without = legacy("--without", name, "program.py", PYTHONUTF8="1", VMZ_LEGACY_QUIET="1")
    assert without.returncode != 0 and name not in reports(without), without.stdout
    if name in ERRORS:
        assert ERRORS[name] in without.stderr and ERRORS[name] in DOCUMENT


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mend(folder: Path, name: str) -> None:
    if name == "h5py":
        pytest.importorskip("h5py")
    check(folder, name, *PROGRAMS[name])


@needs_operators
@pytest.mark.parametrize("name", CAFFE2_PROGRAMS)
def test_a_mend_of_caffe2(folder: Path, name: str) -> None:
    check(folder, name, *CAFFE2_PROGRAMS[name])


@needs_operators
def test_the_error_of_lmdb_is_the_documents(folder: Path) -> None:
    source = (
        "from caffe2.python import core, workspace\nnet = core.Net('n')\n"
        "net.CreateDB([], 'r', db='nowhere', db_type='lmdb')\nworkspace.RunNetOnce(net)\n"
    )
    (folder / "program.py").write_text(source)
    ran = legacy("--without=operators", "program.py")
    words = "RuntimeError: [enforce fail at db.h:212] db_. Cannot find db implementation of type lmdb"
    assert ran.returncode == 1 and words in ran.stderr and words in DOCUMENT


ON_GPUS = """
import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import core, dyndep, workspace

dyndep.InitOpsLibrary("@/caffe2/caffe2/contrib/nccl:nccl_ops")
for number in range(2):
    with core.DeviceScope(core.DeviceOption(caffe2_pb2.CUDA, number)):
        workspace.FeedBlob("a%d" % number, np.float32([1 + number, 5]))
        workspace.FeedBlob("b%d" % number, np.float32([10 * number]))
net = core.Net("sums")
with core.DeviceScope(core.DeviceOption(caffe2_pb2.CUDA, 0)):
    net.NCCLAllreduce(["a0", "a1"], ["a0", "a1"])
    net.NCCLBroadcast(["b0", "b1"], ["b0", "b1"], root=1)
    net.NCCLReduce(["a0", "a1"], ["a0"])
workspace.RunNetOnce(net)
print([workspace.FetchBlob(name).tolist() for name in ("a0", "a1", "b0", "b1")])
init = core.Net("init")
init.ConstantFill([], "w", shape=[2], value=3.0)
init.RunAllOnGPU()
predict = core.Net("predict")
predict.Proto().external_input.extend(["x", "w"])
predict.Add(["x", "w"], "y")
predict.Proto().external_output.append("y")
predict.RunAllOnGPU()
print(workspace.Predictor(init.Proto(), predict.Proto()).run([np.ones(2, np.float32)])[0].tolist())
print(sorted(workspace.GetGPUMemoryInfo(0)))
"""


def test_what_gpus_compute_together_runs_on_the_cpu(folder: Path) -> None:
    (folder / "program.py").write_text(ON_GPUS)
    ran = legacy("program.py")
    [sums, predicted, memory] = ended(ran).splitlines()[-3:]
    assert sums == "[[6.0, 20.0], [3.0, 10.0], [10.0], [10.0]]" and predicted == "[4.0, 4.0]"
    assert memory == "['free', 'total', 'used']" and reports(ran).count("gpu") == 1


def test_a_net_is_read_from_a_file_opened_as_text(folder: Path) -> None:
    (folder / "program.py").write_text(
        "from caffe2.proto import caffe2_pb2\n"
        "net = caffe2_pb2.NetDef(name='n')\nnet.op.add().arg.add().ints.extend([300, 2 ** 40])\n"
        "with open('n.pb', 'w') as f: f.write(net.SerializeToString())\n"
        "read = caffe2_pb2.NetDef()\nread.ParseFromString(open('n.pb').read())\nprint read == net\n"
    )
    ran = legacy("--py2", "program.py")
    assert ended(ran) == "True\n" and "tensor-text" in reports(ran)


# As packages that run on both ask which Python they are in.
ASKS = """
modules, names = [], []
for name in ("cPickle", "StringIO", "urllib2", "Queue", "__builtin__"):
    try:
        __import__(name)
        modules.append(name)
    except ImportError:
        pass
try:
    from itertools import izip
    names.append("izip")
except ImportError:
    pass
import string, sys, types
names += [name for name in ("letters", "maxint", "StringType") if hasattr(string, name) or hasattr(sys, name)]
names += [name for name in ("StringType", "UnicodeType") if hasattr(types, name)]
"""


@pytest.mark.parametrize("python2", [[], ["--py2"]])
def test_a_package_of_the_environment_finds_no_python_2(folder: Path, python2: list[str]) -> None:
    package = folder / "site-packages" / "asks.py"
    package.parent.mkdir()
    package.write_text(ASKS)
    (folder / "program.py").write_text(
        "import asks, cPickle, string, sys\nfrom itertools import izip\n"
        "print(asks.modules + asks.names == [] and len(string.letters) == 52 and sys.maxint > 0)\n"
        "import importlib\nprint(importlib.import_module('Queue').Queue().empty())\n"
        "reload(asks)\nprint(asks.names == [])\n"  # what the program has imported is there for all
    )
    ran = legacy(*python2, "program.py", path=str(package.parent))
    assert ended(ran) == "True\nTrue\nTrue\n"


def test_the_document_names_every_mend() -> None:
    from vmz.mends import start, table

    assert start.PARTS
    named = {
        name for row in DOCUMENT.splitlines() if row.startswith("| ") for name in row.split("|")[1].strip().split(", ")
    }
    assert set(table.MENDS) <= named


def test_threads_are_those_of_the_environment(folder: Path) -> None:
    (folder / "program.py").write_text(
        "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])\n"
    )
    assert ended(legacy("program.py", OMP_NUM_THREADS="3", MKL_NUM_THREADS="2")) == "3 2\n"
    kept = {"MKL_NUM_THREADS": "5", "OMP_NUM_THREADS": "5"}
    ran = legacy("--without=threads", "program.py", **kept)
    assert ended(ran) == "5 5\n" and "threads" not in reports(ran)


def test_yaml_without_a_loader(folder: Path) -> None:
    """On a stand-in that has PyYAML's signature of today: the environment has no PyYAML."""
    (folder / "yaml.py").write_text("FullLoader = 'full'\ndef load(stream, Loader): return [stream, Loader]\n")
    (folder / "program.py").write_text("import yaml\nprint(yaml.load('a'), yaml.load('a', Loader=1))\n")
    ran = legacy("program.py")
    assert ended(ran) == "['a', 'full'] ['a', 1]\n" and "yaml" in reports(ran)


def test_a_correct_program_is_not_touched(folder: Path) -> None:
    """No mend reports, and what Python 3 has is Python 3's."""
    (folder / "program.py").write_text(
        "import pickle, csv, io\n"
        "try:\n    unicode\n    found = 2\nexcept NameError:\n    found = 3\n"
        "try:\n    xrange\nexcept NameError:\n    xrange = range\n"
        "f = io.BytesIO(pickle.dumps({'a': b'\\xff'}))\n"
        "print(found, list(xrange(2)), pickle.load(f), list(csv.reader(io.StringIO('a,b'))), 7 / 2)\n"
        "try:\n    pickle.loads(b'\\x80\\x02U\\x01\\xff.', encoding='ascii')\n"
        "except UnicodeDecodeError: print('refused')\n"
    )
    ran = legacy("program.py")
    assert ended(ran) == "3 [0, 1] {'a': b'\\xff'} [['a', 'b']] 3.5\nrefused\n"
    assert set(reports(ran)) == {"threads"}


IMPORTING = """
import builtins, csv, importlib, json, os, pickle, sys

def state():
    ours = [each for each in sys.meta_path if type(each).__module__.startswith("vmz")]
    return [len(ours), id(pickle.load), id(csv.reader), hasattr(sys, "maxint"), os.environ.get("OMP_NUM_THREADS"),
            hasattr(builtins, "xrange"), sys.excepthook is sys.__excepthook__, "vmz.legacy" in sys.modules]

before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps([before, state()]))
"""


def test_importing_vmz_changes_nothing() -> None:
    """Its upper floors, with all below them, and every module of the mends; vmz.legacy alone acts."""
    library = ROOT / "lib"
    files = [*(library / "vmz" / "mends").rglob("*.py"), library / "vmz" / "cli" / "test_net.py"]
    names = [".".join(file.relative_to(library).with_suffix("").parts).replace(".__init__", "") for file in files]
    environment = {**os.environ, "PYTHONPATH": str(library)}
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-c", IMPORTING, "vmz", *names]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    before, after = json.loads(ran.stdout.splitlines()[-1])
    assert len(names) > 15 and before == after


def test_pickles_of_today_are_written_as_today(folder: Path) -> None:
    (folder / "program.py").write_text("import pickle\nwith open('a.pkl', 'wb') as f: pickle.dump([1, 'a'], f)\n")
    ended(legacy("program.py"))
    assert (folder / "a.pkl").read_bytes() == pickle.dumps([1, "a"])
