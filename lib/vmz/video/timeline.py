"""Which frame of a stream is shown when, from its packets alone: a frame number is found without decoding all before it.

Seeking is only a way to save time. What cannot be certain from the packets has no times here, and is decoded from the
start; what is sought is verified frame by frame (see Video.read_from).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, Optional

# One packet of these is not one frame: VP8 keeps its hidden reference frames in packets of their own.
HIDDEN_FRAMES = {"vp7", "vp8"}
# A packet of MPEG-4 that is no larger says that nothing is coded: no frame is shown.
NOT_CODED = {"mpeg4": 16}
# Its palette comes with the first packet and is lost by seeking: the frames would be black.
PALETTE = "pal8"


class PacketTimes(NamedTuple):
    """What the container says of one packet. `shown` is False where an edit list cuts its frame away."""

    pts: Optional[int]
    dts: Optional[int]
    key: bool
    shown: bool
    size: int


class Timeline:
    """The frames of a stream in the order in which they are shown.

    packets: all of the stream that hold data, as they lie in the file. codec, pixel_format: FFmpeg's names.
    `frames` is how many packets show a frame: the number of frames, unless the packets are unusual.
    `times` are the timestamps of the frames, in increasing order; None where the packets do not tell them for certain.
    """

    def __init__(self, packets: Sequence[PacketTimes], codec: str, pixel_format: Optional[str]) -> None:
        self.frames = sum(packet.shown for packet in packets)
        self.times: Optional[list[int]] = None
        self._places: dict[int, int] = {}  # of the packets that decoding can begin with: pts -> place in the file
        if _are_certain(packets, codec, pixel_format):
            self.times = sorted(packet.pts for packet in packets if packet.shown and packet.pts is not None)
            latest = None
            for place, packet in enumerate(packets):
                # Nothing before it is shown after it: what is shown from it on needs nothing before it.
                if packet.key and packet.shown and (latest is None or packet.pts > latest):
                    self._places[packet.pts] = place
                latest = packet.pts if latest is None else max(latest, packet.pts)
            self._dts = {pts: packets[place].dts for pts, place in self._places.items()}
            self._keys = list(self._places)

    def seek_points(self, frame: int) -> list[int]:
        """Timestamps to seek for so that frame number `frame` is decoded, the best first; none: decode from the start.

        Containers look for a pts or for a dts, so there is one of each, and then those of the key frame before.
        """
        if self.times is None or not 0 <= frame < len(self.times):
            return []
        found = bisect_left(self._keys, self.times[frame] + 1)
        points = []
        for key in reversed(self._keys[max(0, found - 2) : found]):
            points += [key, self._dts[key]]
        return list(dict.fromkeys(points))

    def frame_at(self, pts: Optional[int], frame: int) -> Optional[int]:
        """Number of the frame of a packet that a seek for `frame` arrived at; None where decoding cannot begin there."""
        if self.times is None or pts not in self._places or pts > self.times[frame]:
            return None
        return bisect_left(self.times, pts)


def _are_certain(packets: Sequence[PacketTimes], codec: str, pixel_format: Optional[str]) -> bool:
    if not packets or codec in HIDDEN_FRAMES or pixel_format == PALETTE:
        return False
    if any(packet.pts is None or packet.dts is None for packet in packets):
        return False
    if any(packet.size <= NOT_CODED.get(codec, 0) for packet in packets):
        return False
    advance = all(before.dts < after.dts for before, after in zip(packets, packets[1:]))
    distinct = len({packet.pts for packet in packets}) == len(packets)
    # Frames shown before the first key frame: decoders drop some of them.
    whole = packets[0].key and packets[0].pts == min(packet.pts for packet in packets)
    return advance and distinct and whole
