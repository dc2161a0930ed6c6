"""Where a network looked (Grad-CAM, arXiv:1610.02391): which places of a blob raise the score of a class."""

from __future__ import annotations

from typing import Optional

import numpy as np
import torch
import torch.nn.functional as F

from vmz.errors import UsageError
from vmz.model.module import VideoModel


def attention(
    model: VideoModel, clips: np.ndarray, label: int, blob: Optional[str] = None, logmels: Optional[np.ndarray] = None
) -> np.ndarray:
    """For each pixel of clips (N, C, T, H, W) how much it speaks for class `label`, float32 (N, T, H, W), 0 to 1.

    logmels: of the clips, where the network hears too. blob: of five axes; by default what the last stage of
    convolutions gives. Raises UsageError for a blob without time and place, or one that the logits do not depend on,
    VmzError for an unknown one.
    """
    if not model.config.sees_pictures:
        raise UsageError(f"{model.config.model_name} sees no pictures, where attention could be shown")
    name = blob or model.last_convolution
    device = next(model.parameters()).device
    data = torch.from_numpy(clips).to(device)
    heard = None if logmels is None else torch.from_numpy(logmels).to(device)
    with torch.enable_grad():
        found = model.blobs(data, [name, model.logits_blob], heard)
        seen, logits = found[name], found[model.logits_blob]
        if seen.dim() != 5:
            raise UsageError(f"blob {name} is {tuple(seen.shape)}; attention needs one with time and place, 5 axes")
        score = logits.flatten(2).mean(2)[:, label].sum() if logits.dim() > 2 else logits[:, label].sum()
        (slope,) = torch.autograd.grad(score, seen, allow_unused=True) if seen.requires_grad else (None,)
    if slope is None:
        raise UsageError(f"the scores do not depend on blob {name}; choose one between the clip and the classifier")
    with torch.no_grad():
        weights = slope.mean(dim=(2, 3, 4), keepdim=True)
        places = F.relu((weights * seen).sum(1, keepdim=True))
        places = F.interpolate(places, size=clips.shape[2:], mode="trilinear", align_corners=False)[:, 0]
        most = places.flatten(1).amax(1).clamp_min(1e-12)
        return (places / most[:, None, None, None]).float().cpu().numpy()
