from __future__ import annotations

import json
import os
import pickle
import pickletools
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmz.checkpoints.pickles import load_pickle, load_pickle_about, save_pickle
from vmz.errors import UsageError, VmzError

# {'blobs': {'w': array([[1, 2]], 'f4'), 'lr': 0.5}} in the form of Python 2's protocol 0, where bytes are text.
PYTHON2_PROTOCOL_0 = (
    b"(dp1\nS'blobs'\np2\n(dp3\nS'lr'\np4\nF0.5\nsS'w'\np5\ncnumpy.core.multiarray\n_reconstruct\np6\n(cnumpy\nndarray\n"
    b"p7\n(I0\ntS'b'\ntRp8\n(I1\n(I1\nI2\ntcnumpy\ndtype\np9\n(S'f4'\nI0\nI1\ntRp10\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    b"S'\\x00\\x00\\x80?\\x00\\x00\\x00@'\ntbss."
)


@pytest.fixture
def blobs() -> dict[str, np.ndarray]:
    random = np.random.RandomState(0)
    return {
        "conv1_w": random.randn(4, 3, 3, 7, 7).astype(np.float32),
        "conv1_spatbn_relu_s": random.randn(300).astype(np.float32),
        "one": np.float32(3).reshape(()),
        "empty": np.zeros((0, 4), np.float32),
    }


def assert_same(found: dict[str, np.ndarray], blobs: dict[str, np.ndarray]) -> None:
    assert list(found) == list(blobs)
    for name, array in blobs.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape


def test_round_trip_and_plain_pickle_reads_it_too(tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    save_pickle(tmp_path / "a.pkl", blobs)
    assert_same(load_pickle(tmp_path / "a.pkl"), blobs)
    with open(tmp_path / "a.pkl", "rb") as stream:
        assert_same(pickle.load(stream, encoding="latin1")["blobs"], blobs)
    assert os.path.getsize(tmp_path / "a.pkl") < sum(array.nbytes for array in blobs.values()) + 1000


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "wrap", [lambda blobs: {"blobs": blobs}, lambda blobs: blobs, OrderedDict, lambda b: {b"blobs": b}]
)
def test_every_protocol_and_container(tmp_path: Path, blobs: dict[str, np.ndarray], protocol: int, wrap: Any) -> None:
    with open(tmp_path / "a.pkl", "wb") as stream:
        pickle.dump(wrap(blobs), stream, protocol=protocol)
    assert_same(load_pickle(tmp_path / "a.pkl"), blobs)


def test_python_2_text_protocol(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(PYTHON2_PROTOCOL_0)
    found = load_pickle(tmp_path / "a.pkl")
    np.testing.assert_array_equal(found["w"], [[1, 2]])
    assert found["w"].dtype == np.float32
    assert found["lr"] == 0.5


def test_scopes_go_and_layouts_are_honoured(tmp_path: Path) -> None:
    array = np.arange(6, dtype=">f8").reshape(2, 3)
    blobs = {b"gpu_0/a_w": np.asfortranarray(array), "gpu_1/a_w": array * 2, "n": np.int64(4)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    found = load_pickle(tmp_path / "a.pkl")
    np.testing.assert_array_equal(found["a_w"], array)
    assert found["n"] == 4


class Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_payload_is_refused_by_name_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    content = {"blobs": {"w": np.zeros(3), "x": Runs(tmp_path / "ran")}}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(VmzError, match=r"a.pkl is refused: it asks for (posix|nt)\.system"):
        load_pickle(tmp_path / "a.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy.core.multiarray\n__builtins__\n.",
        b"\x80\x04\x8c\x05numpy\x94\x8c\x12ndarray.__class__\x94\x93.",
        b"cnumpy\nndarray\n(N}S'make'\nI1\nstb.",
        b"\x80\x02\x82\x01.",  # a global by number, from the extension registry
        b"Px\n.",
    ],
)
def test_other_ways_to_reach_a_function(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(VmzError):
        load_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "array",
    [np.array([{}], object), np.array(["text"]), np.zeros(2, [("a", "f4")]), np.array([b"x"]), np.zeros(2, complex)],
)
def test_arrays_of_anything_but_numbers(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"w": array}, protocol=2))
    with pytest.raises(VmzError, match="arrays of numbers"):
        load_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (b"This is no pickle at all, just a text file.\n", "not a checkpoint"),
        (b"\x00\x00\x00\x18ftypmp42", "not a checkpoint"),
        (pickle.dumps([1, 2]), "contains a list"),
        (pickle.dumps({"blobs": {"w": "text"}}), "blob w is a str"),
        (pickle.dumps({"blobs": {3: 1.0}}), "named 3"),
    ],
)
def test_other_files_are_named_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(VmzError, match=says) as caught:
        load_pickle(tmp_path / "a.pkl")
    assert "a.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cut_short_anywhere(tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    save_pickle(tmp_path / "a.pkl", blobs)
    content = (tmp_path / "a.pkl").read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "b.pkl").write_bytes(content[:length])
        with pytest.raises(VmzError):
            load_pickle(tmp_path / "b.pkl")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.pkl: No such file"):
        load_pickle(tmp_path / "none.pkl")


def test_torch_is_not_needed() -> None:
    code = "import sys, vmz.checkpoints.pickles, vmz.checkpoints.matching; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


ABOUT = {"labels": ["left", "größer"], "protocol": {"crop_size": 112}, "metrics": {"video@1": 0.5}}


def test_what_a_pickle_says_of_itself(tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    save_pickle(tmp_path / "a.pkl", blobs, ABOUT)
    assert_same(load_pickle(tmp_path / "a.pkl"), blobs)
    assert load_pickle_about(tmp_path / "a.pkl") == ABOUT
    save_pickle(tmp_path / "b.pkl", blobs)
    assert load_pickle_about(tmp_path / "b.pkl") == {}


def test_python_2_would_read_it(tmp_path: Path, blobs: dict[str, np.ndarray]) -> None:
    """Every opcode is of protocol 2 or before, every text one of its byte strings: `pickle.load(f)['blobs']` works."""
    save_pickle(tmp_path / "a.pkl", blobs, {**ABOUT, "long": "x" * 300})
    opcodes = list(pickletools.genops((tmp_path / "a.pkl").read_bytes()))
    assert max(opcode.proto for opcode, _, _ in opcodes) == 2
    assert not [opcode for opcode, _, _ in opcodes if "UNICODE" in opcode.name]
    with open(tmp_path / "a.pkl", "rb") as stream:
        content = pickle.load(stream, encoding="latin1")
    assert_same(content["blobs"], blobs)
    assert json.loads(content["about"])["labels"] == ABOUT["labels"]


@pytest.mark.parametrize("content", [{"about": 1.0}, [1], {"blobs": {}, "about": np.zeros(1)}])
def test_pickles_that_say_nothing(tmp_path: Path, content: Any) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    assert load_pickle_about(tmp_path / "a.pkl") == {}


def test_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": {}, "about": "{"}))
    with pytest.raises(VmzError, match=r"a\.pkl is damaged.*not JSON"):
        load_pickle_about(tmp_path / "a.pkl")
