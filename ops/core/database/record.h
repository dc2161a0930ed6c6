// One video in a database: a serialized `TensorProtos`, as data/create_video_db.py writes it.
//
// Its tensors are found by their types, not by their positions: the video (STRING: the bytes of the file or its path),
// the label or labels (the first INT32), the start frame (the second INT32, optional), the video id (INT64, optional).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmz {

struct Record {
  const char* video = nullptr;  // points into the value that was parsed
  size_t video_size = 0;
  std::vector<int32_t> labels;  // at least one
  bool has_start_frame = false;
  int32_t start_frame = 0;
  bool has_video_id = false;
  int64_t video_id = 0;
};

// Throws BadRecord when the value is empty, truncated, or a record of something else.
Record parse_record(const char* value, size_t size);

}  // namespace vmz
