"""Which trained networks can start which: another number of labels, more frames, a third dimension."""

from __future__ import annotations

from typing import Optional

import numpy as np
import pytest

from vmz.checkpoints.matching import Report, check, match
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build


def model(name: str, depth: int = 18, clip_length: int = 8, num_labels: int = 8, crop_size: int = 112) -> Model:
    """A narrow one; blocks with bottlenecks are not narrowed inside."""
    config = ModelConfig(
        model_name=name,
        model_depth=depth,
        clip_length=clip_length,
        num_labels=num_labels,
        channel_multiplier=0.1,
        crop_size=crop_size,
    )
    return build(config)


def blobs(of: Model) -> list[tuple[str, tuple[int, ...]]]:
    return [*of.params, *of.computed_params]


def started(source: Model, target: Model, center_init: bool = False) -> tuple[dict[str, np.ndarray], Report]:
    return match(seeded_weights(blobs(source)), blobs(target), center_init=center_init)


@pytest.mark.parametrize("name", ["r2plus1d", "r3d", "mc3"])
def test_another_number_of_labels(name: str) -> None:
    fitted, report = started(model(name), model(name, num_labels=51))
    assert set(report.missing) == {"last_out_L51_w", "last_out_L51_b"}
    assert set(report.unused) == {"last_out_L8_w", "last_out_L8_b"}
    assert len(fitted) == len(blobs(model(name))) - 2 and not report.adapted
    check(report, "a.pkl", new_head=True)
    with pytest.raises(VmzError, match="trained for 8 labels"):
        check(report, "a.pkl")


@pytest.mark.parametrize("name", ["r2plus1d", "r3d", "mc4", "rmc4", "r2df"])
def test_eight_frames_start_thirty_two(name: str) -> None:
    """The weights know nothing of a clip's length, but for r2d, whose first layer spans it."""
    _, report = started(model(name), model(name, clip_length=32))
    assert len(report.copied) == len(blobs(model(name)))
    check(report, "a.pkl")


@pytest.mark.parametrize(
    ("source", "target", "depth", "inflated"),
    [
        ("r2df", "r3d", 18, 17),  # conv1 and the two convolutions of each of eight blocks
        ("r2df", "r3d", 34, 33),
        ("r2df", "r3d", 50, 17),
        ("r2df", "mc3", 18, 5),
        ("r2df", "rmc3", 18, 12),
        ("mc3", "r3d", 18, 12),
        ("rmc3", "r3d", 18, 5),
        ("mc2", "mc5", 18, 12),
        ("r2d", "r3d", 18, None),  # its first layer has as many frames as the clip
        ("r3d", "mc3", 18, None),  # three dimensions do not become two
        ("r2df", "r2plus1d", 18, None),  # other layers
    ],
)
def test_a_two_dimensional_network_starts_a_three_dimensional_one(
    source: str, target: str, depth: int, inflated: Optional[int]
) -> None:
    fitted, report = started(model(source, depth), model(target, depth, clip_length=32))
    if inflated is None:
        with pytest.raises(VmzError, match="at their initial values"):
            check(report, "a.pkl", new_head=True)
        return
    check(report, "a.pkl", new_head=True)
    assert len(report.adapted) == inflated and set(report.adapted.values()) == {"inflated to 3 frames"}
    assert len(fitted) == len(blobs(model(target, depth)))


@pytest.mark.parametrize("target", ["r3d", "mc3", "rmc3"])
def test_inflated_in_the_centre_a_network_sees_a_still_as_before(target: str) -> None:
    """On a clip of equal frames the 3-D network then computes what the 2-D one does; spread over the frames it does so
    but for the clip's ends, where the padding is 0."""
    import torch

    from vmz.engines.torch_engine.graph.importer import import_net

    flat, deep = model("r2df", 10), model(target, 10)
    still = torch.randn(1, 3, 1, 112, 112, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 8, -1, -1)

    def scores(of: Model, weights: dict[str, np.ndarray]) -> torch.Tensor:
        module = import_net(of.net, of.param_init_net, outputs=["last_out_L8"])
        module.load_state_dict({blob: torch.from_numpy(array) for blob, array in weights.items()})
        with torch.no_grad():
            return module(still)["last_out_L8"]

    expected = scores(flat, started(flat, flat)[0])
    centred = scores(deep, started(flat, deep, center_init=True)[0])
    spread = scores(deep, started(flat, deep)[0])
    assert (centred - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (spread - expected).abs().max() > 1e-2 * expected.abs().max()
