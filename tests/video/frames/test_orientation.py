"""Display matrices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.odd_video_checks import TURNS
from vmz.video.frames.orientation import UPRIGHT, of_matrix

ONE = 1 << 16


@pytest.mark.parametrize("name", TURNS)
def test_pictures_are_turned(name: str) -> None:
    (a, b, c, d), _ = TURNS[name]
    found = of_matrix((a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30))
    picture = np.arange(6).reshape(2, 3)
    turned = found.turn(picture)
    assert turned.shape == (found.size(3, 2)[1], found.size(3, 2)[0])
    x = [a * x + c * y for y in range(2) for x in range(3)]
    y = [b * x + d * y for y in range(2) for x in range(3)]
    for value in range(6):
        assert turned[y[value] - min(y), x[value] - min(x)] == value


def test_angles() -> None:
    assert of_matrix((0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)).rotation == -90
    aslant = of_matrix((46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30))
    assert (aslant.rotation, aslant.right_angled) == (-45, False)
    assert of_matrix((0,) * 9) == UPRIGHT
