#include "core/audio/log_mel.h"

#include <algorithm>
#include <cmath>

namespace vmz {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kScale = 1080674186.3482928;  // of the original's energies

double mel(double hertz) {
  return 1127 * std::log(1 + hertz / 700);
}

double hertz(double mels) {
  return 700 * (std::exp(mels / 1127) - 1);
}

// Weight of a bin in the triangle that rises from `left` to `mid` and falls to `right`.
double weight_at(double bin, double left, double mid, double right) {
  const double weight =
      bin < mid ? 1 - (mid - bin) / std::max(1.0, mid - left) : 1 - (bin - mid) / std::max(1.0, right - mid);
  return std::max(0.0, weight);
}

float logarithm(double energy) {
  const double e = std::exp(1.0);
  return static_cast<float>(energy > e ? std::log(energy) : energy / e);
}

}  // namespace

int64_t log_mel_rows(int64_t samples, int64_t window, int64_t step) {
  return samples <= window ? 0 : (samples - 1 - window) / step + 1;
}

int64_t tuned_step_ms(const AudioArgs& args, int64_t samples, int64_t frames, int64_t needed) {
  const double wanted = std::floor(static_cast<double>(frames) * args.logmel_frames / static_cast<double>(needed));
  if (wanted < 2) {
    return args.logmel_winstep_ms;
  }
  const double covered = static_cast<double>(samples) - args.logmel_winsize_ms * (args.logmel_audio_sr / 1000.0);
  const double step = std::ceil(1000.0 / args.logmel_audio_sr * (covered / (wanted - 1)));
  return static_cast<int64_t>(std::max(1.0, step));
}

LogMelFilters::LogMelFilters(const AudioArgs& args) : window_(args.window()), size_(2) {
  while (size_ < static_cast<size_t>(window_)) {
    size_ *= 2;
  }
  for (int64_t i = 0; i < window_; ++i) {
    shape_.push_back(0.5 * (1 - std::cos(2 * kPi * static_cast<double>(i) / static_cast<double>(window_ - 1))));
  }
  const size_t half = size_ / 2;
  for (size_t k = 0; k < half; ++k) {
    turns_.push_back(std::polar(1.0, -2 * kPi * static_cast<double>(k) / static_cast<double>(size_)));
    size_t reversed = 0;
    for (size_t bit = 1; bit < half; bit *= 2) {
      reversed = reversed * 2 + ((k & bit) != 0);
    }
    order_.push_back(reversed);
  }
  signal_.resize(half);
  power_.resize(half);

  // The original counts L bins up to half the sample rate, one too many, and leaves out the last one of each filter.
  const double bins = static_cast<double>(half + 1), highest = args.logmel_audio_sr / 2.0;
  const auto edge = [&](int64_t number) {
    return hertz(static_cast<double>(number) * mel(highest) / (args.logmel_filters + 1)) / (highest / bins);
  };
  for (int64_t number = 0; number < args.logmel_filters; ++number) {
    const double left = edge(number), mid = edge(number + 1), right = edge(number + 2);
    const auto first = static_cast<int64_t>(std::floor(left));
    const int64_t last = std::min(static_cast<int64_t>(std::floor(right)) + 1, static_cast<int64_t>(half));
    double sum = 0;
    for (int64_t bin = first; bin <= last; ++bin) {
      sum += weight_at(static_cast<double>(bin), left, mid, right);
    }
    Filter filter{static_cast<size_t>(first), {}};
    for (int64_t bin = first; bin < last; ++bin) {
      const double weight = weight_at(static_cast<double>(bin), left, mid, right);
      filter.weights.push_back(sum > 0 ? static_cast<float>(weight / sum) : 0);
    }
    filters_.push_back(filter);
  }
}

LogMels LogMelFilters::rows(const std::vector<float>& samples, int64_t step) {
  LogMels made;
  made.columns = static_cast<int64_t>(filters_.size());
  const int64_t rows = log_mel_rows(static_cast<int64_t>(samples.size()), window_, step);
  made.values.reserve(static_cast<size_t>(rows * made.columns));
  for (int64_t row = 0; row < rows; ++row) {
    power_of(samples.data() + row * step);
    for (const Filter& filter : filters_) {
      double energy = 0;
      for (size_t i = 0; i < filter.weights.size(); ++i) {
        energy += static_cast<double>(power_[filter.first + i] * filter.weights[i]);
      }
      made.values.push_back(logarithm(kScale * energy));
    }
  }
  return made;
}

void LogMelFilters::power_of(const float* samples) {
  const auto value = [&](size_t i) { return i < shape_.size() ? static_cast<double>(samples[i]) * shape_[i] : 0.0; };
  const size_t half = signal_.size();
  for (size_t i = 0; i < half; ++i) {
    signal_[order_[i]] = {value(2 * i), value(2 * i + 1)};
  }
  transform();
  // The spectra of even and odd samples, taken apart and put together.
  const std::complex<double> first = signal_[0];
  const double lowest = first.real() + first.imag(), nyquist = first.real() - first.imag();
  power_[0] = static_cast<float>(lowest * lowest + nyquist * nyquist);  // the original reads the packed pair so
  for (size_t k = 1; k < half; ++k) {
    const std::complex<double> mirrored = std::conj(signal_[half - k]);
    const std::complex<double> even = (signal_[k] + mirrored) * 0.5, difference = (signal_[k] - mirrored) * 0.5;
    const std::complex<double> odd(difference.imag(), -difference.real());
    const double re = turns_[k].real() * odd.real() - turns_[k].imag() * odd.imag();
    const double im = turns_[k].real() * odd.imag() + turns_[k].imag() * odd.real();
    const double real = even.real() + re, imaginary = even.imag() + im;
    power_[k] = static_cast<float>(real * real + imaginary * imaginary);
  }
}

// The complex FFT of the signal, whose places are bit-reversed already.
void LogMelFilters::transform() {
  const size_t half = signal_.size();
  for (size_t length = 2; length <= half; length *= 2) {
    const size_t stride = size_ / length;
    for (size_t start = 0; start < half; start += length) {
      for (size_t k = 0; k < length / 2; ++k) {
        const std::complex<double> turn = turns_[k * stride], low = signal_[start + k];
        const std::complex<double> other = signal_[start + k + length / 2];
        // Written out: the product of the library looks for infinities.
        const std::complex<double> high(
            turn.real() * other.real() - turn.imag() * other.imag(),
            turn.real() * other.imag() + turn.imag() * other.real());
        signal_[start + k] = low + high;
        signal_[start + k + length / 2] = low - high;
      }
    }
  }
}

}  // namespace vmz
