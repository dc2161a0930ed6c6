// A limit on how long a video may keep its reader busy without a new frame, or new bytes of its file.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace vmz {

constexpr int kVideoTimeout = 60;  // seconds; a frame of 8K takes less than one

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
    last_ = now();
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
    return abandoned_ || (timeout_ > 0 && last != 0 && now() - last > int64_t{1000} * (timeout_ + grace_seconds));
  }

  // What is wrong with a video whose watch is over.
  std::string reason() const {
    const std::string seconds = std::to_string(timeout_);
    return "it gave no new frame for " + seconds +
        " seconds; such a file is most often made to stop its reader (--video_timeout=" + seconds + ")";
  }

 private:
  static int64_t now() {  // milliseconds, never 0
    using std::chrono::milliseconds;
    return 1 + std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  const int timeout_;
  const Flag cancelled_;
  int64_t furthest_ = 0;
  std::atomic<int64_t> last_{0};  // 0: not begun
  std::atomic<bool> abandoned_{false};
};

}  // namespace vmz
