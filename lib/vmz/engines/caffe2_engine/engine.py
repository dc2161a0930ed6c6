"""The reference engine: real Caffe2's workspace, from the pinned wheel, with our VideoInput and lmdb operators."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from vmz.engines.caffe2_engine.faults import Faults
from vmz.engines.caffe2_engine.workspace import Workspace, parse_device, placed, seed_ops
from vmz.engines.engine import Engine
from vmz.engines.labels import check_labels, label_classes
from vmz.errors import UsageError
from vmz.netdef.blob_names import full_name
from vmz.netdef.net_parts import split_readers, video_inputs
from vmz.netdef.pruning import split
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound


class Caffe2Engine(Engine):
    """A workspace of Caffe2 to itself; the nets run as they are, op for op, on the device asked for.

    Of a testing net run() computes what `keep` needs (all of it without `keep`), so that labels that are no class do
    not matter to features; the first fetch of another blob after a run computes the rest.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._workspace = Workspace()
        self._device = parse_device(device)
        self._net: Any = None
        self._parts: dict[str, Any] = {}  # the net in two: what reads, and the rest, so that the time of each is known
        self._rest: Any = None  # the ops that `keep` does not need
        self._has_rest = False  # whether they have run since the last run()
        self._seconds: dict[str, float] = {}
        self._created = False
        self._classes: dict[str, int] = {}  # of label blobs
        self._blobs: dict[str, None] = {}
        self._fills: dict[str, None] = {}
        self._computed: dict[str, str] = {}

    def load(
        self,
        init_net: Any,
        net: Any,
        weights: Optional[Mapping[str, np.ndarray]] = None,
        seed: int = 0,
        keep: Sequence[str] = (),
    ) -> None:
        self.close()
        init_net, net = placed(init_net, self._device), placed(net, self._device)
        for op in [*init_net.op, *net.op]:
            self._blobs.update(dict.fromkeys([*op.input, *op.output]))
        self._workspace.faults = Faults(init_net)
        for op in video_inputs(net):
            self._workspace.faults.watch(op)
        seed_ops(init_net, seed)
        self._fills = dict.fromkeys(blob for op in init_net.op for blob in op.output)
        self._computed = {blob: op.type for op in net.op for blob in op.output}
        self._workspace.run_once(init_net)
        self._net, self._rest = net, None
        if keep:
            self._net, self._rest = split(net, [full_name(name, self._blobs) for name in keep])
            self._rest.name = f"{net.name}_rest"
        self._parts = _parts(self._net)
        self._seconds = dict.fromkeys(("read", "net"), 0.0)
        shapes = {name: self._workspace.fetch(name).shape for op in net.op if op.type == "FC" for name in op.input[1:2]}
        self._classes = label_classes(net, shapes)
        for name, array in (weights or {}).items():
            self._workspace.replace(full_name(name, self._fills), array, self._device)

    def feed(self, blob: str, array: np.ndarray) -> None:
        name = full_name(blob, self._blobs)
        if name in self._fills:
            self._workspace.replace(name, array, self._device)
        elif name in self._computed and self._computed[name] != "StopGradient":
            raise UsageError(f"blob {name} cannot be fed: operator {self._computed[name]} computes it")
        else:
            self._workspace.feed(name, array, self._device)

    def run(self) -> None:
        if self._net is None:
            raise UsageError("the engine has no net to run; call load first")
        if not self._created:
            missing = [blob for blob in self._net.external_input if not self._workspace.has(blob)]
            if missing:
                raise UsageError(f"blob {missing[0]} has no value: no operator computes it; feed it before run")
            for part in self._parts.values():
                self._workspace.create(part)
            self._created = True
        self._has_rest = False
        for kind, part in self._parts.items():
            started = time.perf_counter()
            if kind == "net":
                self._check_labels(part)
            self._workspace.run(part.name)
            self._seconds[kind] += time.perf_counter() - started

    def _check_labels(self, net: Any) -> None:
        for name, classes in self._classes.items():
            if any(op.type == "SoftmaxWithLoss" and name in op.input for op in net.op) and self._workspace.has(name):
                check_labels(self._workspace.fetch(name), classes)

    def fetch(self, blob: str) -> np.ndarray:
        name = full_name(blob, self._blobs)
        if self._created and self._rest is not None and not self._has_rest and _makes(self._rest, name):
            self._check_labels(self._rest)
            self._workspace.run_once(self._rest)
            self._has_rest = True
        if not self._workspace.has(name):
            raise UsageError(f"blob {name} has no value yet; call run before fetch")
        return self._workspace.fetch(name)

    def blobs(self) -> list[str]:
        return list(self._blobs)

    @property
    def skipped(self) -> list[BadVideo]:
        return self._workspace.skipped

    @property
    def ended_early(self) -> list[EndedEarly]:
        return self._workspace.ended_early

    @property
    def without_sound(self) -> list[WithoutSound]:
        return self._workspace.without_sound

    @property
    def seconds(self) -> Mapping[str, float]:
        return dict(self._seconds)

    def close(self) -> None:
        self._workspace.reset()  # also of what a load that failed has opened
        self._net, self._rest, self._created = None, None, False
        for known in (self._blobs, self._fills, self._computed):
            known.clear()


def _makes(net: Any, blob: str) -> bool:
    """Whether an op of the net, other than one whose first output was computed already, writes the blob."""
    return any(blob in (op.output[1:] if op.type == "SoftmaxWithLoss" else op.output) for op in net.op)


def _parts(net: Any) -> dict[str, Any]:
    """{"read": the net's VideoInputs, where it has any, "net": its other ops}."""
    reading, rest = split_readers(net)
    return {"read": reading, "net": rest} if reading.op else {"net": rest}
