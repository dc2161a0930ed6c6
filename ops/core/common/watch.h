// A limit on how long a video may keep its reader busy without a new frame, or new bytes of its file.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace vmz {

constexpr int kVideoTimeout = 60;  // seconds; a frame of 8K takes less than one
constexpr int64_t kLongestStep = 5000;  // milliseconds that count from one look at the clock to the next

// Milliseconds that this process has run, never 0: while it is stopped (Ctrl-Z, a batch system) no video can make
// progress. Whoever waits for a video looks every second.
inline int64_t running_milliseconds() {
  using std::chrono::milliseconds;
  static std::mutex mutex;
  static int64_t seen = 0, running = 1;
  const int64_t now =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  const std::lock_guard<std::mutex> lock(mutex);
  if (seen != 0) {
    running += std::min(now - seen, kLongestStep);
  }
  seen = now;
  return running;
}

// Made by whoever waits for the video; read and set by the thread that decodes it.
class Watch {
 public:
  using Flag = std::shared_ptr<const std::atomic<bool>>;

  // `timeout`: seconds, 0: any. `cancelled`, when set from another thread, ends the reading soon.
  explicit Watch(int timeout, Flag cancelled = nullptr) : timeout_(timeout), cancelled_(std::move(cancelled)) {}

  // The video is opened, maybe once more.
  void begin() {
    furthest_ = 0;
    advance();
  }
  // There is progress, or the time until now is not the video's.
  void advance() {
    last_ = running_milliseconds();
  }
  // The file has been read up to there: progress, unless it had been before.
  void reached(int64_t position) {
    if (position > furthest_) {
      furthest_ = position;
      advance();
    }
  }

  bool cancelled() const {
    return cancelled_ && cancelled_->load();
  }
  // Nobody waits for it any more.
  void abandon() {
    abandoned_ = true;
  }
  // Whether there was no progress for longer than is allowed.
  bool is_over(int grace_seconds = 0) const {
    const int64_t last = last_;
    return abandoned_ ||
        (timeout_ > 0 && last != 0 && running_milliseconds() - last > int64_t{1000} * (timeout_ + grace_seconds));
  }

  // What is wrong with a video whose watch is over.
  std::string reason() const {
    const std::string seconds = std::to_string(timeout_);
    return "it gave no new frame for " + seconds +
        " seconds; such a file is most often made to stop its reader (--video_timeout=" + seconds + ")";
  }

 private:
  const int timeout_;
  const Flag cancelled_;
  int64_t furthest_ = 0;
  std::atomic<int64_t> last_{0};  // 0: not begun
  std::atomic<bool> abandoned_{false};
};

}  // namespace vmz
