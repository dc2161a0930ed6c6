"""VMZ: the Caffe2 video model zoo, alive on real Caffe2 and on PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

__version__ = "0.1.0"
__all__ = ["__version__", "import_net"]


def import_net(
    net: Any,
    init_net: Any = None,
    weights: Any = None,
    *,
    inputs: Optional[Sequence[str]] = None,
    outputs: Optional[Sequence[str]] = None,
    seed: int = 0,
) -> Any:
    """A network that a Caffe2 program built or saved, as a torch.nn.Module (docs/guide/old_nets.md).

    net: a NetDef or core.Net, or a file: predict_net.pb, .pbtxt, a folder with predict_net.pb and init_net.pb, a
    predictor export (.mdl, .minidb), JSON of print_net.py. init_net: the same, for the parameters; random fills are
    drawn with `seed`. weights: a pickled workspace, a .mdl, the minidb of a Save operator, or {blob: array}; they go
    over the init net's, and may have other scopes. inputs: blobs to be fed although the init net fills them.

    The module takes the input blobs in the order of the net and returns {output blob: tensor}; gradients go through it,
    and its state_dict is by blob name. outputs: blobs, in full or the part after the last "/"; "blob@3" is what
    operator 3 wrote; by default what the file or the net names, or else all that nothing reads. Operators of a training
    (gradients, updates) are left out. Raises UsageError and VmzError of vmz.errors: among others for operators that the
    engine lacks, all of them named, and for parameters without values.
    """
    from vmz.engines.torch_engine.graph.old_nets import import_old_net  # PyTorch: `import vmz` itself stays light

    return import_old_net(net, init_net, weights, inputs, outputs, seed).module
