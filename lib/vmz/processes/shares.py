"""Who reads what of a database: the share of each process or device, and the place where its reader goes on.

The stream of all readers together is cut into global batches, of which each reader takes one batch of neighbours, so
that what a global batch holds is the same for any number of readers (see video.reading_order).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from vmz.processes.identity import rank, world_size

Item = TypeVar("Item")


@dataclass(frozen=True)
class Share:
    """One of `count` readers, number `index` from 0 on."""

    index: int = 0
    count: int = 1

    def arguments(self) -> dict[str, int]:
        """VideoInput's arguments of this share; they want a seed, the same for all. {} for a reader that is alone."""
        return {"shard_index": self.index, "shard_count": self.count} if self.count > 1 else {}

    def batch(self, number: int) -> int:
        """The number of this reader's batch `number`, from 0 on, among those of all readers."""
        return number * self.count + self.index

    def place(self, position: int, batch_size: int) -> int:
        """The place in the stream of all readers of a video of this reader's own stream, both from 0 on."""
        batch, within = divmod(position, batch_size)
        return self.batch(batch) * batch_size + within

    def position_after(self, place: int, batch_size: int) -> int:
        """Where a reader's own stream goes on after its video at `place` of all: those before it, and itself."""
        return place // (batch_size * self.count) * batch_size + place % batch_size + 1

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """What of a list is this process's where items are shared out one by one, as files are."""
        return items[self.index :: self.count]

    def titled(self, tool: str) -> str:
        """What the progress of a tool is called, which the first process shows of its own share."""
        return f"{tool}, process 1 of {self.count}" if self.count > 1 else tool

    def videos(self, total: int, batch_size: int) -> int:
        """How many videos of one pass over `total` are of this share."""
        return sum(place // batch_size % self.count == self.index for place in range(total))


def own_share() -> Share:
    """This process's share."""
    return Share(rank(), world_size())


def share_of_one_pass() -> dict[str, int]:
    """VideoInput's arguments of this process's share of one pass. Nothing is drawn, but shares want a seed."""
    share = own_share().arguments()
    return {"wrap_around": 0, **share, **({"seed": 1} if share else {})}


def divided(positions: Sequence[int], readers: int) -> list[int]:
    """Where each of `readers` readers continues when `positions` are those of the readers that there were before.

    The same number of readers: where they were. Another: the videos given so far, in equal shares.
    """
    if len(positions) == readers:
        return list(positions)
    return [sum(positions) // readers] * readers
