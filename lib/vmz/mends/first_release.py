"""Programs of the original's first release, R2Plus1D, on VMZ's `models` and `utils`, which are the last one's."""

from __future__ import annotations

import dis
import sys
from typing import Any

from vmz.errors import UsageError
from vmz.mends.hooks import when_imported
from vmz.mends.original_imports import ORIGINAL
from vmz.mends.table import mend, report
from vmz.text import counted

NAME = "first-release"
CHANGED_DEPTH = 26  # simple blocks then, bottlenecks now


@mend(NAME, "what the original's first release did differently: model_builder.create_data_reader, arguments, figures")
def install() -> None:
    when_imported("models.model_builder", _mend_builder)
    when_imported("models.r3d_model", _mend_creators)
    when_imported("utils.model_helper", _mend_helper)
    when_imported("utils.model_loader", _mend_loader)


def _is_ours(module: Any) -> bool:
    return str(getattr(module, "__file__", "")).startswith(str(ORIGINAL))


def _mend_builder(model_builder: Any) -> None:
    if not _is_ours(model_builder):
        return
    build_model = model_builder.build_model

    def build(*arguments: Any, **named: Any) -> Any:
        if len(arguments) < 5 and "batch_size" not in named:
            depth = named.get("model_depth", arguments[2] if len(arguments) > 2 else None)
            if depth == CHANGED_DEPTH:
                raise UsageError(
                    f"the first release's networks of {counted(depth, 'layer')} differed from today's, and VMZ does "
                    f"not have "
                    "them; put the program's own lib on PYTHONPATH"
                )
            report(NAME, "build_model without batch_size: only scores averaged over a larger picture depend on it")
            named["batch_size"] = 1
        return build_model(*arguments, **named)

    def create_data_reader(model: Any, name: str, input_data: str) -> Any:
        report(NAME, "model_builder.create_data_reader is in utils.reader_utils now")
        from utils import reader_utils  # type: ignore[attr-defined]

        return reader_utils.create_data_reader(model, name, input_data)

    model_builder.build_model, model_builder.create_data_reader = build, create_data_reader
    model_builder.r3d_models = model_builder.video_models


def _mend_creators(r3d_model: Any) -> None:
    """create_r3d and the others, which had the arguments no_loss and is_decomposed."""
    if not _is_ours(r3d_model):
        return
    for name in ("create_r3d", "create_r2df", "create_mcx", "create_rmcx", "create_r2d"):
        setattr(r3d_model, name, _creator(getattr(r3d_model, name)))


def _creator(former: Any) -> Any:
    def create(model: Any, *arguments: Any, **named: Any) -> Any:
        if "no_loss" not in named and "is_decomposed" not in named:
            return former(model, *arguments, **named)
        report(NAME, "arguments no_loss and is_decomposed: as they were then")
        no_loss, label = named.pop("no_loss", False), named.get("label")
        if "is_decomposed" in named:
            named["block_type"] = "2.5d" if named.pop("is_decomposed") else "3d"
        logits = former(model, *arguments, **named)
        if no_loss:
            return logits
        if label is None:
            return model.Softmax(logits, "softmax")
        return tuple(model.SoftmaxWithLoss([logits, label], ["softmax", "loss"]))

    return create


def _mend_helper(model_helper: Any) -> None:
    if not _is_ours(model_helper):
        return
    former = model_helper.GetFlopsAndParams

    def figures(model: Any, gpu_id: Any = 0) -> Any:
        found = former(model, gpu_id)
        if _names_two(sys._getframe(1)):
            report(NAME, "GetFlopsAndParams gives interactions too now: the program takes the first two figures")
            return found[:2]
        return found

    model_helper.GetFlopsAndParams = figures


def _names_two(frame: Any) -> bool:
    """Whether the call in `frame` is the right side of `a, b = ...`."""
    steps = (step for step in dis.get_instructions(frame.f_code) if step.offset > frame.f_lasti)
    following = next((step for step in steps if step.opname != "CACHE"), None)
    return following is not None and following.opname == "UNPACK_SEQUENCE" and following.arg == 2


def _mend_loader(model_loader: Any) -> None:
    if not _is_ours(model_loader):
        return
    former = model_loader.LoadModelFromPickleFile

    def load(model: Any, pkl_file: str, *arguments: Any, **named: Any) -> Any:
        if "gpu_ids" not in named:
            return former(model, pkl_file, *arguments, **named)
        gpus = list(named.pop("gpu_ids"))
        report(NAME, "LoadModelFromPickleFile(gpu_ids=...): the first of them is filled, and the others from it")
        former(model, pkl_file, *arguments, root_gpu_id=gpus[0], **named)
        if gpus[1:]:
            model_loader.BroacastParameters(model, gpus[0], gpus[1:])
        return None

    model_loader.LoadModelFromPickleFile = load
