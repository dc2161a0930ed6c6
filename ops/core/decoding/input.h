// Where the bytes of a video come from: memory or a file, seen by FFmpeg as one nameless stream.
//
// Nameless, so that the format is told from the content alone, for paths as for bytes: a video may be called `.txt`.
#pragma once

#include <cstdint>
#include <string>

#include "core/common/libav.h"
#include "core/common/watch.h"

namespace vmz {

class Input {
 public:
  // Bytes that outlive this object. `watch`, which may be null, ends the reading.
  Input(const char* bytes, size_t size, Watch* watch);
  // A file. Throws BadRecord when it cannot be read.
  Input(const std::string& path, Watch* watch);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  int64_t size() const {
    return size_;
  }
  // Bytes from `at` on, whatever FFmpeg reads; returns how many there were.
  size_t read_at(int64_t at, uint8_t* out, size_t count) const;

  AVIOContext* io() const {
    return io_.get();
  }

 private:
  static int read(void* self, uint8_t* out, int size);
  static int64_t seek(void* self, int64_t offset, int whence);
  void open_io();

  const char* bytes_ = nullptr;
  int file_ = -1;
  int64_t size_ = 0;
  int64_t at_ = 0;
  Watch* watch_;
  Owned<AVIOContext> io_;
};

}  // namespace vmz
