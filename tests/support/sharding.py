"""What both readers promise of shards: for any number of them, the batches together are those of one reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# VideoInput arguments under which a clip depends on every draw of its record's random stream.
AUGMENTED: dict[str, Any] = {
    "decode_type": 0,
    "random_crop": 1,
    "random_mirror": 1,
    "random_sampling_rate": 2,
    "video_res_type": 1,
    "jitter_scales": [112, 144],
    "seed": 5,
}
Read = Callable[..., tuple[list[int], np.ndarray, int]]
"""(batches, **arguments) -> the records and the clips of so many batches, and the position after them."""


def check_shards(read: Read, shuffle: int) -> None:
    """On a database of seven records."""
    records, clips, position = read(4, batch_size=4, shuffle=shuffle)
    assert position == 16 and (records == [*range(7), *range(7), 0, 1]) == (not shuffle)
    for shards in (2, 4):
        batch = 4 // shards
        shares = [
            read(4, batch_size=batch, shard_index=shard, shard_count=shards, shuffle=shuffle) for shard in range(shards)
        ]
        rows = [(share, slice(n * batch, (n + 1) * batch)) for n in range(4) for share in shares]
        assert [record for share, part in rows for record in share[0][part]] == records
        assert np.array_equal(np.concatenate([share[1][part] for share, part in rows]), clips)
