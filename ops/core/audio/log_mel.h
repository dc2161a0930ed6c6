// From samples to log-mels: one row a window of time, one column a mel filter, as the original computes them.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

#include "core/arguments.h"

namespace vmz {

// Rows of one length side by side, oldest first.
struct LogMels {
  int64_t columns = 0;
  std::vector<float> values;

  int64_t rows() const {
    return columns == 0 ? 0 : static_cast<int64_t>(values.size()) / columns;
  }
  const float* row(int64_t number) const {
    return values.data() + number * columns;
  }
};

// How many rows `samples` samples give: a window is taken only while more than its samples are left.
int64_t log_mel_rows(int64_t samples, int64_t window, int64_t step);

// The step, in milliseconds, at which `samples` samples give about `frames` * logmel_frames / `needed` rows, the rows
// of a video of `frames` frames of which a clip needs `needed`. As the original rounds it up, the rows come out fewer.
int64_t tuned_step_ms(const AudioArgs& args, int64_t samples, int64_t frames, int64_t needed);

// Power spectra of windows of real samples, and the mel filters over them. One thread at a time.
class LogMelFilters {
 public:
  explicit LogMelFilters(const AudioArgs& args);

  // The rows of `samples` (scale -1..1) with one window every `step` samples.
  LogMels rows(const std::vector<float>& samples, int64_t step);

 private:
  struct Filter {
    size_t first;                // bin
    std::vector<float> weights;  // of the bins from there on
  };

  void power_of(const float* samples);
  void transform();

  const int64_t window_;
  size_t size_;                // of the FFT
  std::vector<double> shape_;  // of the window
  std::vector<Filter> filters_;
  std::vector<std::complex<double>> signal_;  // two samples each
  std::vector<std::complex<double>> turns_;   // exp(-2 pi i k / size_), k below size_ / 2
  std::vector<size_t> order_;                 // of the signal, bits of the place reversed
  std::vector<float> power_;                  // of bins 0 .. size_ / 2 - 1
};

}  // namespace vmz
