from __future__ import annotations

from collections.abc import Iterator

import pytest

from vmz.engines.registry import open_trainer
from vmz.engines.trainer import Trainer


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    with open_trainer("pytorch") as opened:
        yield opened
