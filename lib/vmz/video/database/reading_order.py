"""The order in which a reader comes by the records of a database: turn after turn, its own share, shuffled or not.

The C++ operator computes the same (ops/core/database/order.cc): in integers, so to the bit.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from vmz.processes.shares import Share
from vmz.video.arguments import VideoInputArgs

SHUFFLE_SALT = int.from_bytes(b"shuffle", "big")  # or the C++ reader's draws for a video would go with its place
BITS = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def permutation(seed: int, turn: int, records: int) -> np.ndarray:
    """The records of a shuffled turn in their order, int64 (records,): by a hash of (seed, turn, record).

    The hash is SplitMix64's output, seeded by the three numbers mixed one into the other.
    """
    state = _mix((seed & BITS) ^ SHUFFLE_SALT) ^ (turn & BITS)
    hashes = _mix_array(np.arange(records, dtype=np.uint64) ^ np.uint64(_mix(state)))
    return np.argsort(hashes, kind="stable").astype(np.int64)


class ReadingOrder:
    """Where each video of a reader's own stream lies: position 0, 1, 2, ... -> (turn, record).

    The stream of all readers together has the numbers 0, 1, 2, ...: number q is the (q % records)-th of turn
    q // records. Which of them are a reader's, processes.shares says.
    """

    def __init__(self, records: int, args: VideoInputArgs) -> None:
        self._records, self._args, self._share = records, args, Share(args.shard_index, args.shard_count)
        self._turn, self._shuffled = -1, np.empty(0, np.int64)

    def at(self, position: int) -> Optional[tuple[int, int]]:
        """(turn, record) of a video of the stream, None past the end of the only turn (wrap_around=0)."""
        args = self._args
        turn, record = divmod(self._share.place(position, args.batch_size), self._records)
        if turn and not args.wrap_around:
            return None
        if not args.shuffle:
            return turn, record
        if turn != self._turn:
            self._turn, self._shuffled = turn, permutation(args.seed, turn, self._records)
        return turn, int(self._shuffled[record])


def _mix(state: int) -> int:
    """SplitMix64's output for a state (Steele, Lea and Flood 2014)."""
    z = (state + GOLDEN_GAMMA) & BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & BITS
    return z ^ (z >> 31)


def _mix_array(states: np.ndarray) -> np.ndarray:
    """The same for uint64 arrays, whose products wrap around by themselves."""
    z = states + np.uint64(GOLDEN_GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
