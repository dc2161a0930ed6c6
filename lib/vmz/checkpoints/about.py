"""What a checkpoint says about itself: JSON text beside the blobs, which every format of checkpoint keeps alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vmz.errors import VmzError
from vmz.file_formats.json_files import Each, parse_json
from vmz.video.faults import BAD_VIDEO

_ENTRY = {"epoch": int, "iteration?": int, "figures?": Each((float, None)), "test_videos?": int, "loss?": (float, None)}
_HISTORY = {
    "points?": [{"epoch": int, "iteration": int}],
    "epochs?": [_ENTRY],
    "sums?": {"epoch": Each(float), "point": Each(float)},
    "faults?": Each(Each(Each(BAD_VIDEO))),
}
FIGURES = (dict, None)
# What model.save adds. settings: flags of test_net that draw the clips and build the network, as it was. fast: those
# to set in their place for the head that trains, where the model has the fully convolutional one. published: the
# published model that it is; initialised_from: the one that its weights began as.
SAVED = {
    "settings": dict,
    "fast?": dict,
    "features_only?": bool,
    **dict.fromkeys(
        ("published?", "initialised_from?", "source?", "labels_source?", "licence?", "paper?"), (str, None)
    ),
}
_FORM = {
    "saved?": SAVED,
    "labels?": object,  # of a stranger they may be anything: they are used where they are names
    "protocol?": (dict, None),
    "metrics?": FIGURES,
    "eps?": float,  # of the batch norms, in the layout of another library
    "layout?": str,
    "run?": {
        "iterations_per_epoch?": int,
        "accumulation_steps?": int,
        "clips_per_iteration?": int,
        "data?": str,
        "history?": _HISTORY,
        "options?": (dict, None),
    },
}


def read_about(path: Path, text: str) -> dict[str, Any]:
    """The object in the JSON text of a checkpoint. Raises VmzError for one that is damaged."""
    what = f"{path} is damaged: its stored description"
    return dict(parse_json(text, what, _FORM, VmzError, finite=False))  # figures may be NaN
