"""The PyTorch engine: feeds, runs and fetches a NetDef the way Caffe2's workspace does, on the CPU or a GPU."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter

from vmz.engines.engine import Engine
from vmz.engines.labels import check_labels, label_classes, losses
from vmz.engines.precisions import FP32, INFERENCE
from vmz.engines.torch_engine.devices import checked_device
from vmz.engines.torch_engine.graph import overflow
from vmz.engines.torch_engine.graph.fills import run_fills
from vmz.engines.torch_engine.graph.functions import bound, let_go
from vmz.engines.torch_engine.graph.importer import import_net, input_blobs, left_out
from vmz.engines.torch_engine.graph.kernel_calls import use_kernels
from vmz.engines.torch_engine.graph.op import Op, lookup, read_ops
from vmz.engines.torch_engine.graph.passes import has_fused_convolutions, in_half, optimize
from vmz.engines.torch_engine.kernels import check_kernels
from vmz.engines.torch_engine.memory import give_back, keep_freed_memory
from vmz.engines.torch_engine.precision import HALF, check_layers, check_precision, computing_in
from vmz.engines.torch_engine.transfer import reading_ahead
from vmz.engines.torch_engine.video_input import open_readers
from vmz.errors import UsageError, VmzError
from vmz.netdef.blob_names import full_name
from vmz.netdef.net_parts import CLIP_READERS


class TorchEngine(Engine):
    """A workspace over PyTorch. `optimize` switches the graph passes, which keep results to rounding.

    precision: one of precisions.INFERENCE; results are float32 in all of them. channels_last: clips and weights lie
    channels last in memory; None is True on the CPU, where the fastest convolutions need it, and False on a GPU.
    kernels: run what they are for by our Triton kernels, on a GPU; measured nowhere yet (docs/internals/gpu.md).

    What run() computes is what was fetched after earlier runs, and `keep`: nothing else is held in memory. The first
    fetch of another blob computes it from the same inputs. A net with is_test=0, whose results depend on when they are
    computed, computes and holds every blob in each run, as Caffe2 does.
    """

    def __init__(
        self,
        device: str = "cpu",
        optimize: bool = True,
        precision: str = FP32,
        channels_last: Optional[bool] = None,
        kernels: bool = False,
    ) -> None:
        self.device = checked_device(device)
        check_precision(precision, self.device, INFERENCE)
        check_layers(precision, self.device)
        if kernels:
            check_kernels(self.device)
        self.optimize, self.precision, self.kernels = optimize, precision, kernels
        # the kernels want it on a GPU; on the CPU oneDNN's convolutions do, whose place the interpreted kernels take
        faster = (self.device.type == "cpu") != kernels
        self.channels_last = faster if channels_last is None else channels_last
        self._clear()

    def _clear(self) -> None:
        self._ops: list[Op] = []
        self._net: Any = None
        self._parameters: dict[str, Tensor] = {}
        self._classes: dict[str, int] = {}
        self._labels: dict[str, np.ndarray] = {}  # on the host: {blob in _classes: the last ones}
        self._readers: list[Any] = []  # InputOp, or AheadReader on a GPU
        self._fed: dict[str, Tensor] = {}
        self._batch: dict[str, Tensor] = {}
        self._results: dict[str, Tensor] = {}
        self._wanted: dict[str, None] = {}  # a set that keeps its order
        self._losses: set[str] = set()
        self._inputs: list[str] = []  # what the net reads
        self._imported: Any = None  # the net as a module, and what runs: the same, optimized for inputs of `_extents`
        self._module: Optional[GraphModule] = None
        self._forward: Any = None  # that module's, as a plain function
        self._extents: list[torch.Size] = []
        self._blobs: dict[str, None] = {}
        self._computed: dict[str, Op] = {}
        self._has_run = False
        self._seconds = dict.fromkeys(("read", "transfer", "prepare", "net"), 0.0)

    def load(
        self,
        init_net: Any,
        net: Any,
        weights: Optional[Mapping[str, np.ndarray]] = None,
        seed: int = 0,
        keep: Sequence[str] = (),
    ) -> None:
        self.close()
        self._net, self._ops, self._losses = net, read_ops(net), losses(net)
        for op in self._ops:
            if op.type not in CLIP_READERS:
                lookup(op)
        for op in [*read_ops(init_net), *self._ops]:
            self._blobs.update(dict.fromkeys([*op.inputs, *op.outputs]))
        self._computed = {blob: op for op in self._ops for blob in op.outputs}
        self._parameters = {blob: value.to(self.device) for blob, value in run_fills(init_net, seed).items()}
        shapes = {blob: tuple(value.shape) for blob, value in self._parameters.items()}
        self._classes = label_classes(net, shapes)
        for name, array in (weights or {}).items():
            self._set_parameter(full_name(name, self._parameters), array)
        if any(depends_on_time(op) for op in self._ops):
            self._wanted = self._all_values()
        self._wanted.update(dict.fromkeys(self._full_name(name) for name in keep))
        self._readers = reading_ahead(
            lambda normalised: open_readers(init_net, net, normalised), self.device, self.channels_last
        )

    def feed(self, blob: str, array: np.ndarray) -> None:
        name = self._full_name(blob)
        if name in self._parameters:
            self._set_parameter(name, array)
            self._drop_module()  # folded constants would be stale
        elif name in self._computed and not self._feeds_in_place(name):
            raise UsageError(f"blob {name} cannot be fed: {self._computed[name]} computes it")
        else:
            if name in self._classes:
                self._labels[name] = np.array(array)
            self._fed[name] = torch.from_numpy(np.array(array)).to(self.device)

    def run(self) -> None:
        if self._net is None:
            raise UsageError("the engine has no net to run; call load first")
        for reader in self._readers:
            with self._timed("read"):
                batch = reader.next_batch()
            with self._timed("transfer"):
                self._labels.update({blob: array for blob, array in batch.items() if blob in self._classes})
                self._batch.update({blob: torch.as_tensor(array).to(self.device) for blob, array in batch.items()})
        self._has_run = True
        self._results = {}
        if self._wanted:
            self._compute()

    def fetch(self, blob: str) -> np.ndarray:
        at = blob.partition("@")
        name = self._full_name(at[0]) + at[1] + at[2]
        if name in self._parameters:
            return self._parameters[name].cpu().numpy().copy()
        if not self._has_run:
            raise UsageError(f"blob {name} has no value yet; call run before fetch")
        if name not in self._results:
            if name not in self._computed and "@" not in name:
                return self._input(name).cpu().numpy().copy()
            if any(depends_on_time(op) for op in self._ops):
                raise UsageError(f"blob {name} is not computed by this net as the PyTorch engine runs it")
            self._want(name)
        with self._timed("net"):  # a GPU is still at it when run returns
            return self._results[name].cpu().numpy().copy()

    def blobs(self) -> list[str]:
        return list(self._blobs)

    @property
    def skipped(self) -> list[Any]:
        return [bad for reader in self._readers for bad in reader.reader.skipped]

    @property
    def ended_early(self) -> list[Any]:
        return [video for reader in self._readers for video in reader.reader.ended_early]

    @property
    def without_sound(self) -> list[Any]:
        return [video for reader in self._readers for video in reader.reader.without_sound]

    @property
    def seconds(self) -> Mapping[str, float]:
        return dict(self._seconds)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - started

    def close(self) -> None:
        for reader in self._readers:
            reader.reader.close()
        self._drop_module()
        let_go(self._imported)
        self._clear()
        give_back()

    def _full_name(self, name: str) -> str:
        return full_name(name, self._blobs)

    def _feeds_in_place(self, name: str) -> bool:
        """Whether the net reads the blob before it writes it, as StopGradient on data does."""
        for op in self._ops:
            if name in op.inputs:
                return True
            if name in op.outputs:
                return False
        return False

    def _set_parameter(self, name: str, array: np.ndarray) -> None:
        target = self._parameters[name]
        if tuple(target.shape) != tuple(np.shape(array)):
            raise VmzError(f"blob {name} has shape {tuple(target.shape)} in the net, not {tuple(np.shape(array))}")
        with torch.no_grad():
            target.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def _input(self, name: str) -> Tensor:
        for source in (self._batch, self._fed):
            if name in source:
                return source[name]
        raise UsageError(f"blob {name} has no value: no operator computes it; feed it before run")

    def _all_values(self) -> dict[str, None]:
        """Every blob that operators write and that is no parameter."""
        omitted = {blob for op in self._ops for blob in left_out(op)}
        return dict.fromkeys(blob for blob in self._computed if blob not in omitted and blob not in self._parameters)

    def _made_ready(self) -> list[Tensor]:
        """Have the module for what is wanted, made anew when inputs change in more than their number. Returns these."""
        if self._module is None:
            let_go(self._imported)
            self._imported = import_net(self._net, outputs=list(self._wanted), values=self._parameters)
            self._inputs = input_blobs(self._imported)
        inputs = [self._input(name) for name in self._inputs]
        extents = [value.shape[1:] for value in inputs]
        if self._module is None or extents != self._extents:
            self._drop_module()
            try:
                self._module = self._prepared(inputs)
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                raise error_at_operator(self._imported, inputs, error) from error
            self._extents = extents
            self._forward = self._function(self._module)
            give_back()  # what preparing took
        return inputs

    def _drop_module(self) -> None:
        """Free what runs, which no longer fits."""
        if self._module is not self._imported:
            let_go(self._module)
        self._module = self._forward = None

    def _prepared(self, inputs: Sequence[Tensor]) -> GraphModule:
        """What runs for inputs of these shapes."""
        half = HALF.get(self.precision)
        if not self.optimize or any(depends_on_time(op) for op in self._ops):
            return self._imported if half is None else in_half(self._imported, half)
        optimized = optimize(self._imported, inputs, half, self.channels_last)
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.kernels:
            use_kernels(optimized)
        if self.device.type == "cpu" and self.channels_last and has_fused_convolutions(half):
            guarded = overflow.guarded(self._imported, optimized)
            if guarded is not optimized:
                let_go(optimized)
            return guarded or self._imported
        return optimized

    def _function(self, module: Any) -> Any:
        """The forward of what `_prepared` gave."""
        return bound(module)

    def _want(self, name: str) -> None:
        """Compute `name` now and in the runs to come; a name that cannot be computed leaves nothing behind."""
        before = dict(self._wanted)
        self._wanted[name] = None
        self._drop_module()
        try:
            self._compute()
        except BaseException:
            self._wanted = before
            self._drop_module()
            raise

    def _compute(self) -> None:
        with self._timed("prepare"):
            inputs = self._made_ready()
        if self._losses.intersection(self._wanted):
            for name, labels in self._labels.items():
                check_labels(labels, self._classes[name])
        with self._timed("net"), torch.no_grad(), computing_in(self.precision):
            try:
                self._results = self._forward(*inputs)
                measured = self._results.pop(overflow.LARGEST, None)
                if measured is not None and not overflow.is_sound(measured):
                    self._results = self._imported.forward(*inputs)  # not-a-number stays what it is
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                raise error_at_operator(self._imported, inputs, error) from error


def error_at_operator(module: GraphModule, inputs: list[Tensor], error: Exception) -> VmzError:
    """The error of a run with the operator that failed: runs the graph once more, node by node, to find it."""

    class Finder(Interpreter):
        def run_node(self, n: Any) -> Any:
            self.at = n
            return super().run_node(n)

    finder = Finder(module)
    try:
        finder.run(*inputs)
    except Exception as again:
        meta = finder.at.meta
        shapes = [tuple(finder.env[node].shape) for node in finder.at.all_input_nodes]
        first = str(again).strip().splitlines()[0]
        return VmzError(
            f"operator {meta.get('type', '?')} (number {meta.get('op')} of the net, output {meta.get('blob')}) failed"
            f" on inputs of shapes {shapes}: {first}"
        )
    return VmzError(f"the net failed: {error}")


def depends_on_time(op: Op) -> bool:
    """Whether it computes something else from run to run: batch norm and dropout that train."""
    return op.type in ("SpatialBN", "Dropout") and not op.arg("is_test", 0)
