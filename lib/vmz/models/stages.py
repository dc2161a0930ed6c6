"""The blobs where a network's stages end: what people take as features."""

from __future__ import annotations

from vmz.models import c3d, resnet
from vmz.models.families import C3D
from vmz.models.registry import Model
from vmz.netdef.blob_names import unscoped


def stage_blobs(model: Model) -> dict[str, str]:
    """{name: blob in full}, from the clip to the classifier: res2 to res5 and final_avg, or pool1 to pool5 and fc7.

    A blob that Caffe2 writes several times in a stage has its last value.
    """
    if model.config.model_name == C3D:
        names = {f"pool{number}": f"pool{number}" for number in range(1, len(c3d.GROUPS) + 1)}
        return {name: model.blob(blob) for name, blob in {**names, "fc7": "fc7"}.items()}
    found, last = {}, -1
    for stage in resnet.layout_of(model.config).stages:
        last += stage.blocks
        found[f"res{stage.number}"] = _end_of_block(model, last)
    return {**found, "final_avg": model.blob("final_avg")}


def _end_of_block(model: Model, number: int) -> str:
    prefix = f"comp_{number}_"
    written = [blob for op in model.net.op for blob in op.output[:1] if unscoped(blob).startswith(prefix)]
    return str(written[-1])
