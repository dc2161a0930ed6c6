"""The names of the original's own torch.hub, as ../../../hubconf.py offers them; they never worked there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmz.errors import UsageError
from vmz.model.loading import PLAIN, PUBLISHED, load_model, module_of
from vmz.settings.model import ModelSettings

# {name: {pretraining: published model}}; "" is an untrained network, of the first one's shape.
_OF_152 = {
    "ig65m_32frms": "{}_ig65m_from_scratch",
    "ig_ft_kinetics_32frms": "{}_ft_kinetics_from_ig65m",
    "sports1m_32frms": "{}_sports1m_from_scratch",
    "sports1m_ft_kinetics_32frms": "{}_ft_kinetics_from_sports1m",
}
HUB: dict[str, dict[str, str]] = {
    "r2plus1d_34": {
        "kinetics_8frms": "r2plus1d_34_clip8_ft_kinetics_from_ig65m",
        "kinetics_32frms": "r2plus1d_34_clip32_ft_kinetics_from_ig65m",
        "ig65m_8frms": "r2plus1d_34_clip8_ig65m_from_scratch",
        "ig65m_32frms": "r2plus1d_34_clip32_ig65m_from_scratch",
    },
    **{
        name: {pretraining: row.format(name) for pretraining, row in _OF_152.items()}
        for name in ("r2plus1d_152", "ir_csn_152", "ip_csn_152")
    },
}


def from_hub(name: str, pretraining: str = "", progress: bool = True, **arguments: Any) -> Any:
    """A VideoModel by the original's names. pretraining: one of HUB[name], or "" for an untrained network.

    progress: has no effect; a bar is shown on a terminal. arguments: of `load_model`; of an untrained network
    num_classes alone. An untrained network has the plain head, which trains. Raises UsageError for another pretraining.
    """
    known = HUB[name]
    if pretraining:
        if pretraining not in known:
            raise UsageError(f"unknown pretraining {pretraining!r} of {name}; choose from: {', '.join(known)}")
        return load_model(known[pretraining], **arguments)
    classes = arguments.pop("num_classes", 400)
    if arguments.pop("head", PLAIN) == PUBLISHED or arguments:
        raise UsageError(f"an untrained {name} takes num_classes alone; name a pretraining: {', '.join(known)}")
    settings = ModelSettings.resolved(zoo=next(iter(known.values())), protocol="fast", num_labels=classes)
    return module_of(replace(settings, load_model_path=None), random=True)
