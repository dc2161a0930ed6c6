#include "core/decoding/unreferenced.h"

namespace vmz {
namespace {

// Kinds of units; slices of key frames are others.
constexpr int kSlice = 1, kSupplement = 6, kDelimiter = 9, kFiller = 12;
// Of a unit's first byte: its kind; forbidden_zero_bit and nal_ref_idc.
constexpr int kKind = 0x1F, kMayBeReferredTo = 0xE0;
// Of a slice's second byte: first_mb_in_slice is 0.
constexpr int kFirstOfPicture = 0x80;

}  // namespace

int length_bytes(const AVCodecParameters& stream) {
  if (stream.codec_id != AV_CODEC_ID_H264 || stream.extradata_size < 7 || stream.extradata[0] != 1) {
    return 0;
  }
  return (stream.extradata[4] & 3) + 1;
}

bool is_unreferenced(const uint8_t* packet, int64_t size, int length_bytes) {
  int64_t at = 0;
  bool has_slice = false;
  while (at + length_bytes < size) {
    int64_t length = 0;
    for (int i = 0; i < length_bytes; ++i) {
      length = length * 256 + packet[at++];
    }
    if (length < 2 || length > size - at) {
      return false;
    }
    const int kind = packet[at] & kKind;
    if (kind == kSlice) {
      if ((packet[at] & kMayBeReferredTo) || !(has_slice || (packet[at + 1] & kFirstOfPicture))) {
        return false;
      }
      has_slice = true;
    } else if (kind != kSupplement && kind != kDelimiter && kind != kFiller) {
      return false;
    }
    at += length;
  }
  return has_slice && at == size;
}

}  // namespace vmz
