// Packets of H.264 whose frame no other frame refers to: where nobody wants the frame, they need not be decoded.
// lib/vmz/video/frames/unreferenced.py is the same for the other reader: change both.
#pragma once

#include <cstdint>

#include "core/common/libav.h"

namespace vmz {

// How many bytes hold a unit's length, as MP4 and Matroska store H.264; 0 for what is stored otherwise.
int length_bytes(const AVCodecParameters& stream);

// Whether a packet holds whole slices to which no other frame refers, and nothing that other frames need.
bool is_unreferenced(const uint8_t* packet, int64_t size, int length_bytes);

}  // namespace vmz
