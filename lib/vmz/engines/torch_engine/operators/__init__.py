"""The operators that the PyTorch engine knows: importing this package fills the registry."""

from vmz.engines.torch_engine.operators import arithmetic, convolution, heads, pooling, shapes

__all__ = ["arithmetic", "convolution", "heads", "pooling", "shapes"]
