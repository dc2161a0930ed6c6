"""Packets of H.264 whose frame no other frame refers to: where nobody wants the frame, they need not be decoded.

ops/core/decoding/unreferenced.cc is the same for the C++ operator: change both.
"""

from __future__ import annotations

from typing import Any, Optional

SLICE, SUPPLEMENT, DELIMITER, FILLER = 1, 6, 9, 12  # kinds of NAL units; slices of key frames are others
BESIDE_SLICES = {SUPPLEMENT, DELIMITER, FILLER}
KIND, MAY_BE_REFERRED_TO = 0x1F, 0xE0  # of a unit's first byte; the upper bits: forbidden_zero_bit and nal_ref_idc
FIRST_OF_PICTURE = 0x80  # of a slice's second byte: first_mb_in_slice is 0


def length_bytes(codec: str, extradata: Optional[bytes]) -> int:
    """How many bytes hold a unit's length, as MP4 and Matroska store H.264; 0 for what is stored otherwise."""
    if codec != "h264" or not extradata or len(extradata) < 7 or extradata[0] != 1:
        return 0
    return (extradata[4] & 3) + 1


def is_unreferenced(packet: Any, size: int) -> bool:
    """Whether a packet holds whole slices to which no other frame refers, and nothing that other frames need.

    packet: its bytes. size: see `length_bytes`.
    """
    units = memoryview(packet)
    at, slices, end = 0, 0, len(units)
    while at + size < end:
        length = int.from_bytes(units[at : at + size], "big")
        at += size
        if not 1 < length <= end - at:
            return False
        kind = units[at] & KIND
        if kind == SLICE:
            if units[at] & MAY_BE_REFERRED_TO or not (slices or units[at + 1] & FIRST_OF_PICTURE):
                return False
            slices += 1
        elif kind not in BESIDE_SLICES:
            return False
        at += length
    return slices > 0 and at == end
