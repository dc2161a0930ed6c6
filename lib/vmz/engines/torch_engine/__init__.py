"""The PyTorch engine: a NetDef becomes a torch.fx GraphModule whose parameters are named by blob."""

from vmz.engines.torch_engine.graph.importer import import_net

__all__ = ["import_net"]
