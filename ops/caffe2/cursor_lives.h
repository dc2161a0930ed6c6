// DBReader::Open, run again, destroys the cursor that an operator's thread may be using, and makes another.
#pragma once

#include <atomic>
#include <cstdint>
#include <shared_mutex>

namespace vmz {

// Held shared: no cursor of our DB type `lmdb` is destroyed. Its destructor holds it alone.
std::shared_timed_mutex& cursor_lives();

// A cursor of a number of its own: the next one may lie at the same address.
class NumberedCursor {
 public:
  virtual ~NumberedCursor() = default;

  uint64_t number() const {
    return number_;
  }

 private:
  static uint64_t next() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }

  const uint64_t number_ = next();
};

}  // namespace vmz
