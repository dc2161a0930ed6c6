#include "core/decoding/cut_off.h"

#include <cstring>

namespace vmz {
namespace {

// Up to 16 bytes of a file, with zeros where it has ended.
struct Bytes {
  Bytes(const Input& input, int64_t at, size_t wanted) {
    count = input.read_at(at, data, wanted);
  }

  uint64_t big(size_t first, size_t bytes) const {
    uint64_t value = 0;
    for (size_t i = first; i < first + bytes; ++i) {
      value = value << 8 | data[i];
    }
    return value;
  }
  uint64_t little(size_t first, size_t bytes) const {
    uint64_t value = 0;
    for (size_t i = first + bytes; i > first; --i) {
      value = value << 8 | data[i - 1];
    }
    return value;
  }
  bool has(size_t first, const char* text) const {
    return std::memcmp(data + first, text, 4) == 0;
  }

  uint8_t data[16] = {};
  size_t count = 0;
};

// MP4: a box is its length (4 bytes, 1: 8 more hold it, 0: to the end of the file), its type, its content.
int64_t end_of_boxes(const Input& input) {
  int64_t at = 0;
  while (at + 8 <= input.size()) {
    const Bytes head(input, at, 16);
    const uint64_t length = head.big(0, 4) == 1 ? head.big(8, 8) : head.big(0, 4);
    if (length < 8) {
      break;
    }
    if (length > static_cast<uint64_t>(input.size() - at)) {
      return input.size() + 1;
    }
    at += static_cast<int64_t>(length);
  }
  return at;
}

// AVI: one chunk of RIFF, or several in large files. Where none was filled in, at the end of a recording, 0.
int64_t end_of_riff(const Input& input) {
  int64_t at = 0;
  while (at + 12 <= input.size()) {
    const Bytes head(input, at, 8);
    const uint64_t length = head.little(4, 4);
    if (!head.has(0, "RIFF") || length == 0 || length == 0xFFFFFFFF) {
      break;
    }
    at += 8 + static_cast<int64_t>(length);
  }
  return at;
}

// Matroska's numbers: how many bytes the one at `at` has, and its value; -1 for "unknown".
int64_t matroska_length(const Input& input, int64_t at, int64_t* value) {
  const Bytes head(input, at, 8);
  int bytes = 8;
  for (int i = 0; i < 8; ++i) {
    if (head.data[0] >> (7 - i) & 1) {
      bytes = i + 1;
      break;
    }
  }
  const uint64_t all = (uint64_t{1} << (7 * bytes)) - 1;
  const uint64_t found = head.big(0, static_cast<size_t>(bytes)) & all;
  *value = found == all ? -1 : static_cast<int64_t>(found);
  return at + bytes;
}

// A header, then one segment with its length, unless it was recorded as a stream.
int64_t end_of_segment(const Input& input) {
  int64_t length = 0;
  int64_t at = matroska_length(input, 4, &length);
  at += length < 0 ? 0 : length;
  if (!Bytes(input, at, 4).has(0, "\x18\x53\x80\x67")) {
    return 0;
  }
  at = matroska_length(input, at + 4, &length);
  return length < 0 ? 0 : at + length;
}

}  // namespace

bool is_cut_off(const Input& input) {
  const Bytes start(input, 0, 16);
  if (start.has(0, "RIFF")) {
    return end_of_riff(input) > input.size();
  }
  if (start.has(0, "\x1a\x45\xdf\xa3")) {
    return end_of_segment(input) > input.size();
  }
  for (const char* box : {"ftyp", "moov", "mdat", "free", "skip", "wide", "styp"}) {
    if (start.has(4, box)) {
      return end_of_boxes(input) > input.size();
    }
  }
  return false;
}

}  // namespace vmz
