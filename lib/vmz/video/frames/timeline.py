"""Which frame of a stream is shown when, from its packets alone: a frame is found without decoding all before it.

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
    """What the container says of one packet. `shown` is False where an edit list cuts its frame away, `whole` where
    something of it is known to be lost."""

    pts: Optional[int]
    dts: Optional[int]
    key: bool
    shown: bool
    whole: bool
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
        self._keys: dict[int, Optional[int]] = {}  # pts and dts of the packets that decoding can begin with
        if _are_certain(packets, codec, pixel_format):
            self.times = sorted(packet.pts for packet in packets if packet.shown and packet.pts is not None)
            latest: Optional[int] = None
            for pts, dts, key, shown, *_ in packets:
                assert pts is not None
                # Nothing before it is shown after it: what is shown from it on needs nothing before it.
                if key and shown and (latest is None or pts > latest):
                    self._keys[pts] = dts
                latest = pts if latest is None else max(latest, pts)

    def seek_points(self, frame: int) -> list[int]:
        """Timestamps to seek for so that frame number `frame` is decoded, the best first; none: decode from the start.

        Containers look for a pts or for a dts, so there is one of each, and then those of the key frame before.
        """
        if self.times is None or not 0 <= frame < len(self.times):
            return []
        before = [pts for pts in self._keys if pts <= self.times[frame]][-2:]
        points = dict.fromkeys(point for pts in reversed(before) for point in (pts, self._keys[pts]))
        return [point for point in points if point is not None]

    def frame_at(self, pts: Optional[int], frame: int) -> Optional[int]:
        """Number of the frame of a packet that a seek for `frame` led to; None where decoding cannot begin there."""
        if self.times is None or pts is None or pts not in self._keys or pts > self.times[frame]:
            return None
        return bisect_left(self.times, pts)


def _are_certain(packets: Sequence[PacketTimes], codec: str, pixel_format: Optional[str]) -> bool:
    if not packets or codec in HIDDEN_FRAMES or pixel_format == PALETTE:
        return False
    shown_at = [packet.pts for packet in packets if packet.pts is not None]
    read_at = [packet.dts for packet in packets if packet.dts is not None]
    # Matroska has no dts. FFmpeg makes them of the pts, but for the first packets: it does not know the order yet.
    before_order = packets[: len(packets) - len(read_at)]
    if len(shown_at) < len(packets) or not read_at or any(packet.dts is not None for packet in before_order):
        return False
    if any(not packet.whole or packet.size <= NOT_CODED.get(codec, 0) for packet in packets):
        return False
    advance = all(before < after for before, after in zip(read_at, read_at[1:]))
    distinct = len(set(shown_at)) == len(packets)
    # Frames shown before the first key frame: decoders drop some of them.
    begins = packets[0].key and shown_at[0] == min(shown_at)
    return advance and distinct and begins
