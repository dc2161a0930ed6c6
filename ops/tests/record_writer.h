// Serialized TensorProtos for tests, written by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wire {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) {
    bytes += static_cast<char>(value | 128);
  }
  return bytes + static_cast<char>(value);
}

inline std::string field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}

inline std::string field(int number, int64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(static_cast<uint64_t>(value));
}

inline std::string string_tensor(const std::string& text) {
  return field(1, field(2, int64_t{4}) + field(6, text));
}

inline std::string int32_tensor(const std::vector<int64_t>& values) {
  std::string tensor = field(2, int64_t{2});
  for (int64_t value : values) {
    tensor += field(4, value);
  }
  return field(1, tensor);
}

inline std::string int64_tensor(int64_t value) {
  return field(1, field(2, int64_t{10}) + field(10, value));
}

}  // namespace wire
