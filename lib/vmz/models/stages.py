"""The blobs where a network's stages end: what people take as features."""

from __future__ import annotations

from vmz.models import audio_visual, c3d, resnet
from vmz.models.families import C3D
from vmz.models.registry import Model
from vmz.netdef.blob_names import unscoped


def stage_blobs(model: Model) -> dict[str, str]:
    """{name: blob in full}, from the clip to the classifier: res2 to res5 and final_avg, or pool1 to pool5 and fc7.

    Of a_resnet res1 to res5; of an av_resnet both, behind `v_` (pictures) and `a_` (sound), and the layers that join
    them. A blob that Caffe2 writes several times in a stage has its last value.
    """
    if model.config.model_name == C3D:
        names = {f"pool{number}": f"pool{number}" for number in range(1, len(c3d.GROUPS) + 1)}
        return {name: model.blob(blob) for name, blob in {**names, "fc7": "fc7"}.items()}
    config = model.config
    if not config.sees_pictures:
        return _stages(model, audio_visual.stage_blocks(config), "")
    layout = resnet.layout_of(config)
    blocks = {stage.number: stage.blocks for stage in layout.stages}
    if not config.hears:
        return _stages(model, blocks, "")
    pictures = _stages(model, blocks, audio_visual.VISUAL)
    sound = _stages(model, audio_visual.stage_blocks(config), audio_visual.AUDIO)
    joined = {name: model.blob(name) for name in ("av_concat", "av_fc1", "av_fc2")}
    return {**pictures, **sound, **joined}


def _stages(model: Model, blocks: dict[int, int], prefix: str) -> dict[str, str]:
    """Of one trunk. blocks: {number of the stage: how many it has}."""
    found, last = {}, -1
    for stage, count in blocks.items():
        last += count
        found[f"{prefix}res{stage}"] = _end_of_block(model, f"{prefix}comp_{last}_")
    return {**found, f"{prefix}final_avg": model.blob(f"{prefix}final_avg")}


def _end_of_block(model: Model, prefix: str) -> str:
    written = [blob for op in model.net.op for blob in op.output[:1] if unscoped(blob).startswith(prefix)]
    return str(written[-1])
