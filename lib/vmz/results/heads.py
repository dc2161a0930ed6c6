"""What is said of the heads of a network with Gradient-Blending: loss and accuracy of each, means over clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from vmz.file_formats.json_files import Each

Heads = Mapping[str, Mapping[str, Optional[float]]]
"""{head: {"loss": ..., "accuracy": ...}}; no accuracy, or None, with several labels."""
HEADS_FORM: Any = Each(Each((float, None)))


def heads_text(heads: Heads) -> str:
    """ "audio loss 2.0794 accuracy 0.1250, visual loss ..."."""
    return ", ".join(
        " ".join([head, *(f"{name} {value:.4f}" for name, value in found.items() if value is not None)])
        for head, found in heads.items()
    )
