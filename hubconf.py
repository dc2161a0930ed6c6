"""torch.hub: `torch.hub.load(".", "ir_csn_152", source="local", pretraining="ig_ft_kinetics_32frms")`.

Four names are those of the original's own hub, with its `pretraining` values; `load` takes every published name.
"""

from __future__ import annotations

import os
import sys
import typing  # by its own name: torch.hub.list takes every callable here for an entry

dependencies = ["torch", "numpy", "google.protobuf", "av", "lmdb", "tqdm", "jinja2"]

_LIB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")
if _LIB not in sys.path:
    sys.path.append(_LIB)  # behind an installed VMZ, if there is one


def load(name: str, **arguments: typing.Any) -> typing.Any:
    """A published model by its name (vmz.list_models()), or a file of weights; as vmz.load_model."""
    from vmz.model.loading import load_model

    return load_model(name, **arguments)


def _entry(name: str) -> typing.Any:
    def entry(pretraining: str = "", progress: bool = True, **arguments: typing.Any) -> typing.Any:
        from vmz.model.hub import from_hub

        return from_hub(name, pretraining, progress, **arguments)

    entry.__name__ = name
    entry.__doc__ = f"""{name}, untrained or with one of its published weights.

    pretraining: see vmz.model.hub.HUB[{name!r}]. arguments: of vmz.load_model, such as num_classes.
    """
    return entry


r2plus1d_34 = _entry("r2plus1d_34")
r2plus1d_152 = _entry("r2plus1d_152")
ir_csn_152 = _entry("ir_csn_152")
ip_csn_152 = _entry("ip_csn_152")
