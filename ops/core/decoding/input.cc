#include "core/decoding/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/common/errors.h"
#include "core/common/text.h"

namespace vmz {
namespace {

constexpr int kBufferBytes = 1 << 16;

// For a path that cannot be read: where it was looked for, unless the path itself says.
std::string where_it_looked(const std::string& path) {
  if (!path.empty() && path[0] == '/') {
    return "";
  }
  char folder[4096] = "";
  if (::getcwd(folder, sizeof(folder)) == nullptr) {
    return "";
  }
  return std::string(": looked for ") + shown_path(std::string(folder) + "/" + path) +
      "; a relative path starts at the working directory, so run the tool in the folder that the list was made for";
}

std::string cannot_read(const std::string& path, const char* reason) {
  return std::string("cannot read the file (") + reason + ")" + where_it_looked(path);
}

}  // namespace

Input::Input(const char* bytes, size_t size, Watch* watch)
    : bytes_(bytes),
      size_(static_cast<int64_t>(size)),
      watch_(watch) {
  if (size == 0) {
    throw BadRecord("it is empty");
  }
  open_io();
}

Input::Input(const std::string& path, Watch* watch) : watch_(watch) {
  if (path.find('\0') != std::string::npos) {
    throw BadRecord("cannot read the file (embedded null byte)");
  }
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // O_NONBLOCK: a pipe must not make us wait for ever
  if (file_ < 0) {
    throw BadRecord(cannot_read(path, std::strerror(errno)));
  }
  struct stat status = {};
  const bool regular = ::fstat(file_, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular) {
    ::close(file_);
    throw BadRecord(cannot_read(path, "it is not a regular file"));
  }
  size_ = status.st_size;
  try {
    open_io();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

Input::~Input() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

void Input::open_io() {
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
  if (buffer == nullptr) {
    throw std::bad_alloc();
  }
  io_.reset(avio_alloc_context(buffer, kBufferBytes, 0, this, &Input::read, nullptr, &Input::seek));
  if (!io_) {
    av_free(buffer);
    throw std::bad_alloc();
  }
}

size_t Input::read_at(int64_t at, uint8_t* out, size_t count) const {
  if (at < 0 || at >= size_) {
    return 0;
  }
  count = static_cast<size_t>(std::min<int64_t>(size_ - at, static_cast<int64_t>(count)));
  if (bytes_ != nullptr) {
    std::memcpy(out, bytes_ + at, count);
    return count;
  }
  const ssize_t got = ::pread(file_, out, count, at);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

int Input::read(void* self, uint8_t* out, int size) {
  auto& input = *static_cast<Input*>(self);
  if (input.watch_ != nullptr && (input.watch_->cancelled() || input.watch_->is_over())) {
    return AVERROR_EXIT;
  }
  const int64_t left = std::max<int64_t>(0, input.size_ - input.at_);
  const auto count = static_cast<size_t>(std::min<int64_t>(left, size));
  if (count == 0) {
    return AVERROR_EOF;
  }
  ssize_t got = static_cast<ssize_t>(count);
  if (input.bytes_ != nullptr) {
    std::memcpy(out, input.bytes_ + input.at_, count);
  } else {
    do {
      got = ::pread(input.file_, out, count, input.at_);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
      return got < 0 ? AVERROR(errno) : AVERROR_EOF;
    }
  }
  input.at_ += got;
  if (input.watch_ != nullptr) {
    input.watch_->reached(input.at_);
  }
  return static_cast<int>(got);
}

int64_t Input::seek(void* self, int64_t offset, int whence) {
  auto& input = *static_cast<Input*>(self);
  whence &= ~AVSEEK_FORCE;
  if (whence == AVSEEK_SIZE) {
    return input.size_;
  }
  int64_t base = 0;
  if (whence == SEEK_CUR) {
    base = input.at_;
  } else if (whence == SEEK_END) {
    base = input.size_;
  } else if (whence != SEEK_SET) {
    return AVERROR(EINVAL);
  }
  int64_t target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0) {
    return AVERROR(EINVAL);
  }
  input.at_ = target;
  return target;
}

}  // namespace vmz
