// Random numbers that depend on the seed, the pass and the record only: never on the thread that draws them.
#pragma once

#include <cstdint>

namespace vmz {

// SplitMix64 (Steele, Lea and Flood 2014), seeded by three numbers mixed one into the other.
class Random {
 public:
  Random(uint64_t seed, uint64_t turn, uint64_t index) : state_(seed) {
    state_ = next() ^ turn;
    state_ = next() ^ index;
  }

  // 64 uniform bits.
  uint64_t bits() {
    return next();
  }

  // Uniform in [0, 1).
  double uniform() {
    return static_cast<double>(next() >> 11) * (1.0 / 9007199254740992.0);
  }

  // A uniform integer in 0 .. count - 1.
  int64_t below(int64_t count) {
    return static_cast<int64_t>(uniform() * static_cast<double>(count));
  }

 private:
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace vmz
