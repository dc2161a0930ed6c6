"""The reference engine: real Caffe2's workspace, from the pinned wheel, with our VideoInput and lmdb operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from vmz.engines.caffe2_workspace import Workspace, parse_device, placed, report_skipped, seed_ops
from vmz.engines.engine import Engine, full_name
from vmz.errors import UsageError
from vmz.video.reader import BadVideo


class Caffe2Engine(Engine):
    """A workspace of Caffe2 to itself; the nets run as they are, op for op, on the device asked for."""

    def __init__(self, device: str = "cpu") -> None:
        self._workspace = Workspace()
        self._device = parse_device(device)
        self._net: Any = None
        self._created = False
        self._blobs: dict[str, None] = {}
        self._fills: dict[str, None] = {}
        self._computed: dict[str, str] = {}
        self._skipped: list[str] = []  # blobs that hold what the readers left out

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
        self._skipped = report_skipped(net)
        seed_ops(init_net, seed)
        self._fills = dict.fromkeys(blob for op in init_net.op for blob in op.output)
        self._computed = {blob: op.type for op in net.op for blob in op.output}
        self._workspace.run_once(init_net)
        self._net = net
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
            self._workspace.create(self._net)
            self._created = True
        self._workspace.run(self._net.name)

    def fetch(self, blob: str) -> np.ndarray:
        name = full_name(blob, self._blobs)
        if not self._workspace.has(name):
            raise UsageError(f"blob {name} has no value yet; call run before fetch")
        return self._workspace.fetch(name)

    def blobs(self) -> list[str]:
        return list(self._blobs)

    @property
    def skipped(self) -> list[BadVideo]:
        return self._workspace.skipped(self._skipped)

    def close(self) -> None:
        if self._net is not None:
            self._workspace.reset()
        self._net, self._created = None, False
        for known in (self._blobs, self._fills, self._computed, self._skipped):
            known.clear()
