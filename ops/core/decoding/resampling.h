// Frames at a rate of one's own: at each k / fps seconds from the first frame, the last one shown by then.
// lib/vmz/video/frames/shown_times.py and resampling.py are the same for the PyTorch engine: change both.
#pragma once

#include <cstdint>

#include "core/common/libav.h"
#include "core/decoding/decoding.h"

namespace vmz {

// A fraction in lowest terms, above a positive denominator. Throws BadRecord where it does not fit, as no real times do.
class Rational {
 public:
  Rational() = default;
  Rational(__int128 numerator, __int128 denominator);

  Rational operator+(const Rational& other) const;
  Rational operator-(const Rational& other) const;
  Rational operator*(const Rational& other) const;
  bool operator<(const Rational& other) const;
  bool operator<=(const Rational& other) const {
    return !(other < *this);
  }
  bool is_zero() const {
    return numerator_ == 0;
  }
  Rational inverse() const {
    return Rational(denominator_, numerator_);
  }
  // Rounded down. Throws BadRecord where that is no int64_t.
  int64_t floor() const;
  // The closest fraction whose denominator is no larger.
  Rational limited(int64_t denominator) const;

 private:
  __int128 numerator_ = 0, denominator_ = 1;
};

// Gives each frame, in the order of showing, a time later than the one before: see shown_times.py.
class ShownTimes {
 public:
  explicit ShownTimes(const Video& video);

  // Seconds from the first frame. Throws BadRecord where neither timestamps nor a rate tell any.
  Rational next(int64_t timestamp);

 private:
  Rational duration() const;

  Rational base_, step_, pause_, last_;
  bool is_first_ = true, has_step_ = false, has_origin_ = false;
  int64_t origin_ = 0;  // a timestamp, and when it is
  Rational origin_time_;
};

// The frames of a video at `fps` a second, from its start.
class ResampledFrames {
 public:
  ResampledFrames(Video& video, int fps);

  // The next frame, valid until the following call; null at the end.
  const AVFrame* next();
  // How many frames there are by the times of the packets, which are read and not decoded; 0 where they tell none.
  int64_t count();

 private:
  bool read_ahead();
  Rational due() const {
    return Rational(number_, fps_);
  }

  Video& video_;
  const int fps_;
  ShownTimes times_;
  Rational slip_;
  Owned<AVFrame> held_, ahead_;
  Rational held_time_, ahead_time_;
  bool started_ = false, has_ahead_ = false;
  int64_t number_ = 0;
};

// How many frames a video has at `fps` a second.
int64_t resampled_frames(const VideoSource& source, Watch* watch, int fps);

}  // namespace vmz
