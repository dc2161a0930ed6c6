"""A translated net as a plain function: of a module whose parameters several nets share, or of its inputs alone."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Callable

from torch import nn
from torch.fx import GraphModule

from vmz.engines.torch_engine.graph.importer import input_blobs


def function_of(graph: GraphModule, owner: nn.Module) -> tuple[Callable[..., Any], list[str]]:
    """The graph's forward, which takes the parameters from its first argument, `owner`; and the blobs it takes then.

    What the graph makes by itself (constants) becomes a buffer of `owner` that its state_dict does not have. The
    function is made of source code, as torch.fx makes that of a GraphModule: torch.compile sees through it. The graph
    is let go.
    """
    for name, buffer in graph.named_buffers():
        if not hasattr(owner, name):
            owner.register_buffer(name, buffer, persistent=False)
    let_go(graph)
    return _forward(graph), input_blobs(graph)


def let_go(module: Any) -> None:
    """Take its weights from a module that is no longer used: it and its graph hold each other, so that else they stay
    until Python's collector comes by. What is no GraphModule is passed over."""
    if isinstance(module, GraphModule):
        for part in module.modules():
            part._parameters.clear()
            part._buffers.clear()


def bound(graph: GraphModule) -> Callable[..., Any]:
    """The graph's forward as a function of its inputs. It finds a parameter at once, where a module has to search."""
    own = SimpleNamespace(**dict([*graph.named_children(), *graph.named_parameters(), *graph.named_buffers()]))
    return partial(_forward(graph), own)


def _forward(graph: GraphModule) -> Callable[..., Any]:
    code = graph.graph.python_code("self")
    names: dict[str, Any] = dict(code.globals)
    exec(compile(code.src, "<NetDef>", "exec"), names)
    forward: Callable[..., Any] = names["forward"]
    return forward
