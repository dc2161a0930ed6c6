"""An operator of a net as the functions of the registry see it, and the registry itself."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional, TypeVar

import torch
from torch.fx import Proxy

from vmz.errors import VmzError
from vmz.netdef.builder import get_arguments
from vmz.text import cut, printable, quoted

MOST_FILLED = 1 << 28  # values that fills may make, a gigabyte of float32: more than any network of the zoo has by far
DO_NOT_FIT = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError, RecursionError)

F = TypeVar("F", bound=Callable[..., Any])

# Arguments that choose a kernel or its scratch memory and never a result. Every operator may carry them.
WITHOUT_EFFECT = frozenset(
    ["cudnn_exhaustive_search", "exhaustive_search", "use_cudnn", "ws_nbytes_limit", "shared_buffer", "no_bias"]
)


@dataclass(frozen=True)
class Op:
    """One OperatorDef: its place in the net, its type, the blobs it reads and writes, and its arguments by name."""

    index: int
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arguments: Mapping[str, Any]

    def arg(self, name: str, default: Any) -> Any:
        """The value of an argument: int, float, str, or a list of one of them; `default` where it is not set."""
        return self.arguments.get(name, default)

    def __str__(self) -> str:
        return f"operator {self.type} (number {self.index} of the net, output {', '.join(self.outputs) or 'none'})"

    @property
    def place(self) -> str:
        """Number, type, inputs and outputs, for a list of operators."""
        inputs, outputs = (", ".join(names) or "none" for names in (self.inputs, self.outputs))
        return f"number {self.index} {self.type} (inputs {inputs}; outputs {outputs})"

    def unsupported(self, argument: str, accepted: str) -> VmzError:
        """The error for an argument whose value this engine cannot honour."""
        value = self.arguments.get(argument)
        return VmzError(f"{self}: argument {argument}={value!r} is not supported by the PyTorch engine; {accepted}")


# What `order` NHWC means to an operator: nothing, so that it may be there; that so many of the first inputs and outputs
# have their channels last; or None, where it is refused.
Moved = Optional[tuple[int, int]]
NO_MATTER, NCHW_ONLY = (0, 0), None


class Registered(NamedTuple):
    """What the registry holds for an operator type."""

    function: Callable[..., Any]
    arguments: frozenset[str]
    channels_last: Moved


REGISTRY: dict[str, Registered] = {}


def operator(name: str, arguments: str = "", channels_last: Moved = NO_MATTER) -> Callable[[F], F]:
    """Register a function as the operator `name`, which reads the `arguments` (names divided by spaces).

    channels_last: how many inputs and outputs an `order` of NHWC concerns; the function sees NCHW all the same.

    The function gets the Op and its input tensors and returns the output tensor, or a tuple in the order of the
    outputs. It runs once, when the net is imported, on torch.fx proxies, which record the PyTorch calls it makes.
    """

    def register(function: F) -> F:
        if name in REGISTRY:
            raise ValueError(f"operator {name} is registered twice")
        REGISTRY[name] = Registered(function, frozenset(arguments.split()), channels_last)
        return function

    return register


@contextmanager
def fitting(op: Op) -> Iterator[None]:
    """Raise VmzError naming the operator where its function fails in the block: a file's arguments may be anything."""
    try:
        yield
    except DO_NOT_FIT as error:
        if isinstance(error, VmzError):
            raise
        reason = printable(cut((str(error).strip() or type(error).__name__).splitlines()[0]))
        raise VmzError(
            f"{op}: its arguments {quoted(dict(op.arguments))} or inputs do not fit it ({reason})"
        ) from error


def check_filled(op: Op, sides: Sequence[int]) -> int:
    """The number of values of a fill's shape. VmzError for what is no shape, or more than MOST_FILLED."""
    if not all(isinstance(side, int) and side >= 0 for side in sides):
        raise VmzError(f"{op}: {quoted(list(sides))} is not a shape: sides are integers, 0 or more")
    count = math.prod(sides)
    if count > MOST_FILLED:
        raise VmzError(f"{op} makes {quoted(count)} values; a net may fill {MOST_FILLED} at most")
    return count


def lookup(op: Op) -> Callable[..., Any]:
    """The function that carries out `op`, once its type and all its arguments are known to be supported."""
    if op.type not in REGISTRY:
        raise VmzError(f"{op} is not supported by the PyTorch engine, which supports {', '.join(sorted(REGISTRY))}")
    function, arguments, channels_last = REGISTRY[op.type]
    for argument in op.arguments:
        if argument == "order":
            if op.arguments[argument] != "NCHW" and (op.arguments[argument] != "NHWC" or channels_last is None):
                raise op.unsupported(argument, "only NCHW is")
        elif argument not in arguments and argument not in WITHOUT_EFFECT:
            known = ", ".join(sorted(arguments)) or "none but those without effect"
            raise op.unsupported(argument, f"the supported arguments are {known}")
    if op.arg("order", "NCHW") == "NHWC" and channels_last:
        return _with_channels_last(function, *channels_last)
    return function


def _with_channels_last(function: Callable[..., Any], inputs: int, outputs: int) -> Callable[..., Any]:
    if not inputs:
        return function

    def call(op: Op, *tensors: Any) -> Any:
        moved = [torch.movedim(tensor, -1, 1) for tensor in tensors[:inputs]]
        results = function(op, *moved, *tensors[inputs:])
        results = results if isinstance(results, tuple) else (results,)
        return (*(torch.movedim(result, 1, -1) for result in results[:outputs]), *results[outputs:])

    return call


def leaf(function: F) -> F:
    """Have torch.fx record calls of a helper as one call: it looks at shapes, which proxies do not have."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        proxy = next(_proxies(args), None)
        if proxy is None:
            return function(*args, **kwargs)
        return proxy.tracer.create_proxy("call_function", call, args, kwargs)

    return call  # type: ignore[return-value]


def _proxies(values: Any) -> Iterator[Proxy]:
    for value in values:
        if isinstance(value, Proxy):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _proxies(value)


def read_ops(net: Any) -> list[Op]:
    """The operators of a NetDef, in order."""
    return [Op(index, op.type, tuple(op.input), tuple(op.output), get_arguments(op)) for index, op in enumerate(net.op)]
