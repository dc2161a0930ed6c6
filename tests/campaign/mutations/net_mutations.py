"""Networks of old programs gone wrong, in each of their forms: see vmz.checkpoints.old_nets."""

from __future__ import annotations

import functools
import json
import pickle
import random
import struct
from typing import Any, Callable

import numpy as np
from google.protobuf import text_format

from tests.campaign.mutations.drawing import ODD_INTEGERS, ODD_TEXTS, chance_of, mutated_bytes
from tests.campaign.mutations.text_mutations import json_text
from tests.engines.small_nets import net, normalised, op
from vmz.checkpoints.mdl import _records
from vmz.checkpoints.tensors import serialise
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.netdef.builder import make_argument
from vmz.netdef.json_form import net_to_json
from vmz.netdef.protos import MetaNetDef, NetDef

LARGEST = 2**63 - 1
TEXTS = [text.encode("utf-8", "replace").decode() for text in ODD_TEXTS]
KINDS = (
    "Conv", "FC", "Relu", "Sum", "Mul", "Reshape", "Transpose", "Slice", "Concat", "Split", "SpatialBN", "Softmax",
    "MaxPool", "AveragePool", "Copy", "If", "While", "RecurrentNetwork", "Python", "Load", "Save", "CreateDB",
    "VideoInput", "ConstantFill", "GivenTensorFill", "GaussianFill", "XavierFill", "MSRAFill", "UniformFill", "Tile",
    "Cast", "Gather", "TopK", "NoSuchOp", "ResizeNearest", "PadImage", "Squeeze", "ExpandDims", "Shape",
)  # fmt: skip
ARGUMENTS = (
    "kernels", "kernel", "pads", "strides", "dilations", "group", "order", "shape", "value", "values", "dtype", "axis",
    "dim", "dims", "axes", "starts", "ends", "tiles", "to", "split", "k", "epsilon", "momentum", "is_test", "ratio",
    "mean", "std", "min", "max", "broadcast", "net", "body", "width_scale",
)  # fmt: skip


@functools.cache
def _filled() -> dict[str, np.ndarray]:
    init, _ = normalised()
    return {name: value.numpy() for name, value in run_fills(init).items()}


def _main() -> Any:
    _, main = normalised()
    main.external_input.extend(["s/data", "s/label", *_filled()])
    return main


def _given() -> Any:
    """The init net as exporters write it, with its values."""
    fills = [
        op("GivenTensorFill", "", name, shape=list(array.shape), values=[float(value) for value in array.ravel()])
        for name, array in _filled().items()
    ]
    fills += normalised()[0].op[:2]  # drawn and constant ones too
    return net(*fills, op("ConstantFill", "", "s/data", shape=[1], value=0.0), name="init")


def mutated_net(given: Any, chance: random.Random) -> Any:
    """A NetDef with some of its operators, arguments and names changed."""
    found = NetDef.FromString(given.SerializeToString())
    for _ in range(chance.randint(0, 3)):
        way = chance.randrange(11)
        if not found.op:
            break
        one = found.op[chance.randrange(len(found.op))]
        if way == 0:
            del found.op[chance.randrange(len(found.op))]
        elif way == 1:
            found.op.add().CopyFrom(one)
        elif way == 2:
            one.type = chance.choice((*KINDS, *TEXTS))
        elif way == 3 and one.input:
            one.input[chance.randrange(len(one.input))] = chance.choice(
                (*TEXTS, "s/softmax", "s/a", "s/label", "a/b/c")
            )
        elif way == 4 and one.output:
            one.output[chance.randrange(len(one.output))] = chance.choice((*TEXTS, "s/data", "s/fc_w", "s/fc"))
        elif way == 5:
            names = one.input if chance.random() < 0.5 else one.output
            if names and chance.random() < 0.5:
                del names[chance.randrange(len(names))]
            else:
                names.extend(chance.choice((["s/a"], ["s/a"] * 400, ["new"])))
        elif way == 6 and one.arg:
            del one.arg[chance.randrange(len(one.arg))]
        elif way == 7 and one.arg:
            argument = one.arg[chance.randrange(len(one.arg))]
            argument.CopyFrom(make_argument(argument.name, _odd(chance)))
        elif way == 8:
            one.arg.add().CopyFrom(make_argument(chance.choice(ARGUMENTS), _odd(chance)))
        elif way == 9:
            one.engine, one.device_option.device_type = chance.choice(TEXTS), chance.choice((0, 1, 7, -1))
        else:
            names = found.external_input if chance.random() < 0.5 else found.external_output
            names.extend([chance.choice((*TEXTS, "s/softmax", "s/data"))])
    return found


def _odd(chance: random.Random) -> Any:
    integer = max(-LARGEST - 1, min(LARGEST, chance.choice(ODD_INTEGERS)))
    text = chance.choice(TEXTS)
    odd: tuple[Any, ...] = (
        integer, [integer], [integer] * 6, [1] * 3000, [], 0.5, float("nan"), float("inf"), [0.5, -1e38], text, [text],
        [1 << 20, 1 << 11], [1 << 31, 1 << 31], [0, 5], [-1, 4], b"\xff\xfe", b"NHWC", [4, 3, 1, 3],
    )  # fmt: skip
    return chance.choice(odd)


def _binary(given: Callable[[], Any]) -> Callable[[int, int], bytes]:
    def make(seed: int, number: int) -> bytes:
        chance = chance_of(seed, number)
        if number < len(ODD_FILES):
            return ODD_FILES[number]
        if number < len(ODD_FILES) + 5:
            return _large(number - len(ODD_FILES))
        content = bytes(mutated_net(given(), chance).SerializeToString())
        return mutated_bytes(content, chance) if chance.random() < 0.4 else content

    return make


def _nested(depth: int) -> bytes:
    """An argument that holds a net that holds an operator with such an argument, and so on."""
    content = b""
    for _ in range(depth):
        content = _field(2, _field(5, _field(1, b"body") + _field(10, content)))
    return content


def _field(number: int, content: bytes) -> bytes:
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


ODD_FILES = (
    b"", b"\0", b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"{}", b"null", _nested(50), _nested(3000), b"op { " * 5000,
    b"op { type: 'Relu' " * 3000 + b"}" * 3000, b"name: '" + b"x" * 300000 + b"'", b"\x12\x02\x22\x00" * 60000,
)  # fmt: skip
MANY = 5_000


@functools.cache
def _large(number: int) -> bytes:
    """Nets of many operators in less than a megabyte: no reader may take the square of their number."""
    if number == 0:
        ops = [op("Relu", f"x{place}", f"x{place + 1}") for place in range(MANY)]
    elif number == 1:
        ops = [op("Relu", f"x{place}", "y") for place in range(MANY)]
    elif number == 2:
        ops = [op("ConstantFill", "x", "y") for _ in range(MANY)] + [op("Relu", "y", "z")] * MANY
    elif number == 3:
        ops = [op("ConstantFill", "", f"x{place}") for place in range(MANY)] + [op("Relu", "x1", "z")]
    else:
        ops = [op("Sum", " ".join(f"x{place}" for place in range(3 * MANY)), "y")]
    return bytes(net(*ops).SerializeToString())


predict_nets = _binary(_main)
init_nets = _binary(_given)


def text_nets(seed: int, number: int) -> bytes:
    """predict_net.pbtxt."""
    chance = chance_of(seed, number)
    if number < len(ODD_FILES):
        return ODD_FILES[-1 - number]
    text = text_format.MessageToString(mutated_net(_main(), chance))
    lines = text.splitlines()
    for _ in range(chance.randint(0, 2)):
        at = chance.randrange(len(lines))
        way = chance.randrange(5)
        if way == 0:
            del lines[at]
        elif way == 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        elif way == 2:
            lines[at] = (
                f"{lines[at].partition(':')[0]}: {chance.choice((*ODD_INTEGERS, 'nan', '-inf', '1e999', chr(39)))}"
            )
        elif way == 3:
            lines[at] = f'  unknown {{ a: 1 b: "{chance.choice(TEXTS)}" }}'
        else:
            lines[at] = chance.choice(("}", "{", "op {", "# note", "[a.b.c] { x: 1 }", "op < type: 'Relu' >"))
    content = "\n".join(lines).encode("utf-8", "replace")
    return mutated_bytes(content, chance, 2) if chance.random() < 0.15 else content


def json_nets(seed: int, number: int) -> bytes:
    """What print_net.py --json writes, both nets or one."""
    chance = chance_of(seed, number)
    main = net_to_json(mutated_net(_main(), chance) if chance.random() < 0.3 else _main())
    both = {"net": main, "param_init_net": net_to_json(normalised()[0])}
    try:
        return json_text(seed, number, main if chance.random() < 0.2 else both).encode("utf-8", "surrogatepass")
    except TypeError:  # an argument of bytes
        return json.dumps(both).encode()


def _odd_blobs(chance: random.Random) -> dict[str, np.ndarray]:
    blobs = dict(_filled())
    for _ in range(chance.randint(0, 2)):
        name = chance.choice(list(blobs))
        array = np.atleast_1d(blobs[name])
        kind, value = chance.choice(("f8", "f2", "i4", "u1", "?")), chance.choice((np.nan, np.inf, -1.0))
        odd = [array.astype(kind), array[:0], array.reshape(1, -1), array.ravel()[:1], np.tile(array, 2)]
        blobs[name] = chance.choice([*odd, np.full_like(array, value)])
        if chance.random() < 0.3:
            blobs[chance.choice(("gpu_1/", "", "a/b/")) + (chance.choice(TEXTS) or "x")] = blobs.pop(name)
    return blobs


def workspaces(seed: int, number: int) -> bytes:
    """A pickled workspace."""
    chance = chance_of(seed, number)
    content = pickle.dumps(_odd_blobs(chance), protocol=chance.choice((0, 2, 4)))
    return mutated_bytes(content, chance, 3) if chance.random() < 0.5 else content


def saved_minidbs(seed: int, number: int) -> bytes:
    """What a Save operator wrote."""
    chance = chance_of(seed, number)
    items = [item for name, array in _odd_blobs(chance).items() for item in serialise(name, np.asarray(array))]
    return _minidb(items, chance)


def exports(seed: int, number: int) -> bytes:
    """A predictor export with its net."""
    chance = chance_of(seed, number)
    meta = MetaNetDef()
    blobs = _odd_blobs(chance) if chance.random() < 0.5 else dict(_filled())
    names = {"PARAMETERS_BLOB_TYPE": list(blobs), "INPUTS_BLOB_TYPE": ["s/data", "s/label"],
             "OUTPUTS_BLOB_TYPE": ["s/softmax"]}  # fmt: skip
    if chance.random() < 0.3:
        names[chance.choice(list(names))] = [chance.choice((*TEXTS, "s/conv", "s/fc"))] * chance.choice((1, 1, 5000))
    for key, values in names.items():
        meta.blobs.add(key=key).value.extend(values)
    meta.nets.add(key="PREDICT_NET_TYPE").value.CopyFrom(mutated_net(_main(), chance))
    return _minidb(list(_records(meta, {name: np.asarray(array) for name, array in blobs.items()})), chance)


def _minidb(items: list[tuple[str, bytes]], chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        at = chance.randrange(len(items))
        items[at] = (items[at][0], mutated_bytes(items[at][1], chance, 2))
    content = b"".join(struct.pack("<ii", len(key.encode()), len(value)) + key.encode() + value for key, value in items)
    return mutated_bytes(content, chance, 2) if chance.random() < 0.25 else content


def good_files() -> dict[str, bytes]:
    """{name of a file: its content} of a whole network, for what a surface does not change."""
    return {
        "predict_net.pb": bytes(_main().SerializeToString()),
        "init_net.pb": bytes(_given().SerializeToString()),
        "weights.pkl": pickle.dumps(_filled(), protocol=2),
    }
