"""VMZ: the Caffe2 video model zoo, alive on real Caffe2 and on PyTorch.

The public face: what is named in __all__. Each name is imported when it is first asked for, so that `import vmz` takes
no time and needs no PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from vmz.layouts.conversion import convert, convert_from
    from vmz.layouts.loading import load as load_checkpoint
    from vmz.model.loading import load_model
    from vmz.model.names import build, labels, list_architectures, list_models, weights
    from vmz.video.loading import load_video

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "build",
    "convert",
    "convert_from",
    "import_net",
    "labels",
    "list_architectures",
    "list_models",
    "load_checkpoint",
    "load_model",
    "load_video",
    "weights",
]

_PLACES = {
    "build": ("vmz.model.names", "build"),
    "labels": ("vmz.model.names", "labels"),
    "list_architectures": ("vmz.model.names", "list_architectures"),
    "list_models": ("vmz.model.names", "list_models"),
    "convert": ("vmz.layouts.conversion", "convert"),
    "convert_from": ("vmz.layouts.conversion", "convert_from"),
    "load_checkpoint": ("vmz.layouts.loading", "load"),
    "load_model": ("vmz.model.loading", "load_model"),
    "load_video": ("vmz.video.loading", "load_video"),
    "weights": ("vmz.model.names", "weights"),
}


def __getattr__(name: str) -> Any:
    if name == "datasets":  # a package, which has a name of its own to give
        return importlib.import_module("vmz.datasets")
    if name not in _PLACES:
        raise AttributeError(f"module 'vmz' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    found = getattr(importlib.import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


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
