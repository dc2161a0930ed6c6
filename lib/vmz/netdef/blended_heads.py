"""The three heads of a net with Gradient-Blending: which blobs their scores and losses are.

In a net of this kind the blob `loss` is the weighted sum of the three scaled losses. The losses here are unscaled.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from vmz.netdef.blob_names import scoped

AUDIO, VISUAL, JOINT = HEADS = ("audio", "visual", "joint")
PREFIXES = {AUDIO: "a_", VISUAL: "v_", JOINT: ""}
_LOSSES = {AUDIO: "a_unscaled_loss", VISUAL: "v_unscaled_loss", JOINT: "av_loss"}


class HeadBlobs(NamedTuple):
    """Full names. scores: softmax or sigmoid, a row a clip. loss: one value, or one a clip with several labels."""

    scores: str
    loss: str


def blended_heads(net: Any, scope: str) -> dict[str, HeadBlobs]:
    """{head: its blobs} of a net in name scope `scope`; {} for a net without Gradient-Blending."""
    written = {blob for op in net.op for blob in op.output}
    if not all(scoped(loss, scope) in written for loss in _LOSSES.values()):
        return {}
    kind = "prob" if scoped("a_prob", scope) in written else "softmax"
    return {head: HeadBlobs(scoped(PREFIXES[head] + kind, scope), scoped(_LOSSES[head], scope)) for head in HEADS}
