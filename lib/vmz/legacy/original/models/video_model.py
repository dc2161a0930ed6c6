"""VideoModelBuilder as the original's first release had it, in this place: (2+1)D by is_decomposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from .builder import video_model


class VideoModelBuilder(video_model.VideoModelBuilder):
    """models.builder.video_model's, with the arguments of then; what they do not name is as there."""

    def __init__(self, model: Any, prev_blob: Any, no_bias: Any, is_test: Any, spatial_bn_mom: float = 0.9) -> None:
        super().__init__(model, prev_blob, no_bias, is_test, spatial_bn_mom)

    def add_conv(  # type: ignore[override]
        self,
        in_filters: int,
        out_filters: int,
        kernels: Sequence[int],
        strides: Sequence[int] = (1, 1, 1),
        pads: Sequence[int] = (0, 0, 0),
        is_decomposed: Any = False,
        **kind: Any,
    ) -> Any:
        """A 3-D convolution, or with is_decomposed one in space and one in time. `kind`: as a block asks for it."""
        kind = kind or {"block_type": _block_type(is_decomposed)}
        return super().add_conv(in_filters, out_filters, kernels, strides, pads, **kind)

    def add_bottleneck(  # type: ignore[override]
        self,
        input_filters: int,
        base_filters: int,
        output_filters: int,
        down_sampling: Any = False,
        spatial_batch_norm: Any = True,
        is_decomposed: Any = False,
        is_real_3d: Any = True,
    ) -> Any:
        """The base filters come before the output's. Its shortcut was as it is now but where the output narrows."""
        return super().add_bottleneck(
            input_filters,
            output_filters,
            base_filters,
            down_sampling=down_sampling,
            spatial_batch_norm=spatial_batch_norm,
            block_type=_block_type(is_decomposed),
            is_real_3d=is_real_3d,
        )

    def add_simple_block(  # type: ignore[override]
        self,
        input_filters: int,
        num_filters: int,
        down_sampling: Any = False,
        spatial_batch_norm: Any = True,
        is_decomposed: Any = False,
        is_real_3d: Any = True,
        only_spatial_downsampling: Any = False,
    ) -> Any:
        """Two convolutions and the shortcut. only_spatial_downsampling: frames stay as many."""
        temporal: Optional[bool] = False if only_spatial_downsampling else None
        return super().add_simple_block(
            input_filters,
            num_filters,
            down_sampling=down_sampling,
            down_sampling_temporal=temporal,
            spatial_batch_norm=spatial_batch_norm,
            block_type=_block_type(is_decomposed),
            is_real_3d=is_real_3d,
        )


def _block_type(is_decomposed: Any) -> str:
    return "2.5d" if is_decomposed else "3d"
