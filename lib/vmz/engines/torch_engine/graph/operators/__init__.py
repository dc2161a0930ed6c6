"""The operators that the PyTorch engine knows: importing this package fills the registry."""

from vmz.engines.torch_engine.graph.operators import (
    activations,
    arithmetic,
    constants,
    convolution,
    copies,
    heads,
    norms,
    parts,
    pooling,
    products,
    reductions,
    shapes,
)

__all__ = [
    "activations",
    "arithmetic",
    "constants",
    "convolution",
    "copies",
    "heads",
    "norms",
    "parts",
    "pooling",
    "products",
    "reductions",
    "shapes",
]
