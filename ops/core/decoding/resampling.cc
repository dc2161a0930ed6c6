#include "core/decoding/resampling.h"

#include <limits>
#include <new>
#include <utility>

#include "core/common/errors.h"

namespace vmz {
namespace {

using Wide = __int128;

const Rational kLargestSlip(1, 2000);  // seconds by which a container's clock may round the time of a frame
const Rational kLongestPause(10, 1), kLongestPauseElsewhere(30 * 3600, 1), kRestart(-1, 2);

[[noreturn]] void too_large() {
  throw BadRecord("its timestamps are larger than can be counted");
}

Wide times(Wide a, Wide b) {
  Wide found;
  if (__builtin_mul_overflow(a, b, &found)) {
    too_large();
  }
  return found;
}

Wide plus(Wide a, Wide b) {
  Wide found;
  if (__builtin_add_overflow(a, b, &found)) {
    too_large();
  }
  return found;
}

Wide absolute(Wide a) {
  return a < 0 ? -a : a;
}

Wide common_divisor(Wide a, Wide b) {
  while (b != 0) {
    a %= b;
    std::swap(a, b);
  }
  return a;
}

Rational rational(AVRational value) {
  return value.den == 0 ? Rational() : Rational(value.num, value.den);
}

Owned<AVFrame> new_frame() {
  AVFrame* frame = av_frame_alloc();
  if (frame == nullptr) {
    throw std::bad_alloc();
  }
  return Owned<AVFrame>(frame);
}

}  // namespace

Rational::Rational(Wide numerator, Wide denominator) {
  const Wide divisor = common_divisor(absolute(numerator), absolute(denominator));
  const Wide sign = denominator < 0 ? -1 : 1;
  numerator_ = numerator / divisor * sign;
  denominator_ = denominator / divisor * sign;
}

Rational Rational::operator+(const Rational& other) const {
  const Wide divisor = common_divisor(denominator_, other.denominator_);
  const Wide mine = other.denominator_ / divisor, its = denominator_ / divisor;
  return Rational(plus(times(numerator_, mine), times(other.numerator_, its)), times(denominator_, mine));
}

Rational Rational::operator-(const Rational& other) const {
  return *this + Rational(-other.numerator_, other.denominator_);
}

Rational Rational::operator*(const Rational& other) const {
  return Rational(times(numerator_, other.numerator_), times(denominator_, other.denominator_));
}

bool Rational::operator<(const Rational& other) const {
  return (*this - other).numerator_ < 0;
}

int64_t Rational::floor() const {
  const Wide down = numerator_ / denominator_ - (numerator_ < 0 && numerator_ % denominator_ != 0 ? 1 : 0);
  if (down > std::numeric_limits<int64_t>::max() || down < std::numeric_limits<int64_t>::min()) {
    too_large();
  }
  return static_cast<int64_t>(down);
}

// By continued fractions, as Python's Fraction.limit_denominator.
Rational Rational::limited(int64_t denominator) const {
  if (denominator_ <= denominator) {
    return *this;
  }
  Wide p0 = 0, q0 = 1, p1 = 1, q1 = 0, n = numerator_, d = denominator_;
  for (;;) {
    const Wide a = n / d, q2 = q0 + a * q1;
    if (q2 > denominator) {
      break;
    }
    const Wide p2 = p0 + a * p1, rest = n - a * d;
    p0 = p1;
    q0 = q1;
    p1 = p2;
    q1 = q2;
    n = d;
    d = rest;
  }
  const Wide k = (denominator - q0) / q1;
  const Rational one(p0 + k * p1, q0 + k * q1), other(p1, q1);
  const auto distance = [this](const Rational& from) {
    const Rational found = *this - from;
    return Rational(absolute(found.numerator_), found.denominator_);
  };
  return distance(other) <= distance(one) ? other : one;
}

ShownTimes::ShownTimes(const Video& video)
    : base_(rational(video.time_base())),
      pause_(video.times_may_restart() ? kLongestPause : kLongestPauseElsewhere) {
  const Rational rate = rational(video.rate()).limited(1001);
  if (!rate.is_zero()) {
    step_ = rate.inverse();
    has_step_ = true;
  }
}

Rational ShownTimes::duration() const {
  if (!has_step_) {
    throw BadRecord("its frames have no timestamps and it states no frame rate");
  }
  return step_;
}

Rational ShownTimes::next(int64_t timestamp) {
  const bool stated = timestamp != AV_NOPTS_VALUE && !base_.is_zero();
  if (is_first_) {
    is_first_ = false;
    has_origin_ = stated;
    origin_ = timestamp;
    return last_;
  }
  if (stated && !has_origin_) {  // the first frames had no times
    has_origin_ = true;
    origin_ = timestamp;
    origin_time_ = last_ + duration();
  }
  Rational time;
  if (stated) {
    time = Rational(Wide{timestamp} - Wide{origin_}, 1) * base_ + origin_time_;
  }
  if (!stated || time <= last_ || pause_ < time - last_) {
    const Rational following = last_ + duration();
    if (stated && (time - last_ < kRestart || pause_ < time - last_)) {  // another recording begins
      origin_ = timestamp;
      origin_time_ = following;
    }
    time = following;
  } else {
    step_ = time - last_;
    has_step_ = true;
  }
  last_ = time;
  return time;
}

ResampledFrames::ResampledFrames(Video& video, int fps)
    : video_(video),
      fps_(fps),
      times_(video),
      slip_(rational(video.time_base()) * Rational(1, 2)),
      held_(new_frame()),
      ahead_(new_frame()) {
  if (kLargestSlip < slip_) {
    slip_ = kLargestSlip;
  }
}

bool ResampledFrames::read_ahead() {
  const AVFrame* frame = video_.next();
  has_ahead_ = frame != nullptr;
  if (has_ahead_) {
    av_frame_unref(ahead_.get());
    if (av_frame_ref(ahead_.get(), frame) < 0) {
      throw std::bad_alloc();
    }
    ahead_time_ = times_.next(frame->best_effort_timestamp);
  }
  return has_ahead_;
}

const AVFrame* ResampledFrames::next() {
  if (!started_) {
    started_ = true;
    if (!read_ahead()) {
      return nullptr;
    }
    std::swap(held_, ahead_);
    held_time_ = ahead_time_;
    read_ahead();
  }
  while (has_ahead_) {
    if (due() < ahead_time_ - slip_) {
      ++number_;
      return held_.get();
    }
    std::swap(held_, ahead_);
    held_time_ = ahead_time_;
    read_ahead();
  }
  if (held_->buf[0] == nullptr || held_time_ + slip_ < due()) {
    return nullptr;
  }
  ++number_;
  return held_.get();
}

int64_t ResampledFrames::count() {
  const Timeline timeline = video_.timeline();
  if (timeline.times().empty()) {
    return 0;
  }
  Rational last;
  for (const int64_t timestamp : timeline.times()) {
    last = times_.next(timestamp);
  }
  return ((last + slip_) * Rational(fps_, 1)).floor() + 1;
}

int64_t resampled_frames(const VideoSource& source, Watch* watch, int fps) {
  {
    Video video(source, watch);
    const int64_t found = ResampledFrames(video, fps).count();
    if (found > 0) {
      return found;
    }
  }
  Video video(source, watch);
  ResampledFrames frames(video, fps);
  int64_t found = 0;
  while (!(watch != nullptr && watch->cancelled()) && frames.next() != nullptr) {
    ++found;
  }
  return found;
}

}  // namespace vmz
