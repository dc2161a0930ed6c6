#include "core/audio/log_mel.h"

#include <cmath>

#include "check.h"

using namespace vmz;

namespace {

AudioArgs arguments(int winsize_ms = 16, int rate = 16000, int filters = 40) {
  AudioArgs args;
  args.logmel_winsize_ms = winsize_ms;
  args.logmel_audio_sr = rate;
  args.logmel_filters = filters;
  return args;
}

std::vector<float> tone(double hertz, int samples, int rate = 16000) {
  std::vector<float> made;
  for (int i = 0; i < samples; ++i) {
    made.push_back(static_cast<float>(0.5 * std::sin(2 * M_PI * hertz * i / rate)));
  }
  return made;
}

int loudest(const LogMels& mels, int64_t row) {
  return static_cast<int>(std::max_element(mels.row(row), mels.row(row) + mels.columns) - mels.row(row));
}

// The energy of the only filter, by the definition of the Fourier transform.
double energy_by_definition(const std::vector<float>& samples, int size) {
  const int window = static_cast<int>(samples.size());
  double energy = 0, sum = 0;
  const double highest = 8000, bins = size / 2 + 1, top = 1127 * std::log(1 + highest / 700);
  const auto edge = [&](int i) { return 700 * (std::exp(top * i / 2 / 1127) - 1) / (highest / bins); };
  for (int bin = 0; bin <= size / 2; ++bin) {
    const double mid = edge(1), right = edge(2);
    const double weight = std::max(0.0, bin < mid ? 1 - (mid - bin) / mid : 1 - (bin - mid) / (right - mid));
    double re = 0, im = 0, nyquist = 0;
    for (int i = 0; i < window; ++i) {
      const double value = samples[static_cast<size_t>(i)] * 0.5 * (1 - std::cos(2 * M_PI * i / (window - 1)));
      re += value * std::cos(2 * M_PI * bin * i / size);
      im += value * std::sin(2 * M_PI * bin * i / size);
      nyquist += value * (i % 2 ? -1 : 1);
    }
    sum += weight;
    if (bin < size / 2) {  // the last bin's weight counts, its power does not
      energy += weight * (re * re + im * im + (bin == 0 ? nyquist * nyquist : 0));
    }
  }
  return 1080674186.3482928 * energy / sum;
}

}  // namespace

TEST(a_window_is_taken_while_more_than_its_samples_are_left) {
  CHECK_EQUAL(log_mel_rows(0, 256, 160), 0);
  CHECK_EQUAL(log_mel_rows(256, 256, 160), 0);
  CHECK_EQUAL(log_mel_rows(257, 256, 160), 1);
  CHECK_EQUAL(log_mel_rows(416, 256, 160), 1);
  CHECK_EQUAL(log_mel_rows(417, 256, 160), 2);
  LogMelFilters filters(arguments());
  CHECK_EQUAL(filters.rows(std::vector<float>(16000), 160).rows(), 99);
  CHECK_EQUAL(filters.rows({}, 160).rows(), 0);
}

TEST(silence_gives_exactly_zero_and_quiet_sound_the_energy_over_e) {
  LogMelFilters filters(arguments());
  for (const float value : filters.rows(std::vector<float>(1000), 160).values) {
    CHECK_EQUAL(value, 0.0f);
  }
  std::vector<float> click(300);
  click[100] = 1e-5f;
  for (const float value : filters.rows(click, 160).values) {
    CHECK(value > 0 && value < 1);
  }
}

TEST(a_tone_is_loudest_in_its_filter_and_twice_as_loud_is_ln_4_more) {
  LogMelFilters filters(arguments());
  const LogMels low = filters.rows(tone(300, 4000), 160), high = filters.rows(tone(3000, 4000), 160);
  CHECK_EQUAL(loudest(low, 3), 5);
  CHECK_EQUAL(loudest(high, 3), 26);
  std::vector<float> twice = tone(3000, 4000);
  for (float& value : twice) {
    value *= 2;
  }
  const LogMels louder = filters.rows(twice, 160);
  CHECK(std::fabs(louder.row(5)[26] - high.row(5)[26] - std::log(4.0f)) < 1e-4f);
}

TEST(the_spectrum_is_the_one_of_the_definition_for_every_size) {
  for (const int milliseconds : {1, 2, 3, 5, 16, 20, 25, 32}) {  // windows as long as the FFT and shorter
    std::vector<float> samples = tone(700, 16 * milliseconds + 1);
    samples[3] += 0.25f;
    LogMelFilters filters(arguments(milliseconds, 16000, 1));
    const LogMels rows = filters.rows(samples, 160);
    CHECK_EQUAL(rows.rows(), 1);
    samples.pop_back();
    int size = 2;
    while (size < 16 * milliseconds) {
      size *= 2;
    }
    CHECK(std::fabs(rows.row(0)[0] - std::log(energy_by_definition(samples, size))) < 1e-5);
  }
}

TEST(more_filters_than_bins) {
  LogMelFilters filters(arguments(1, 16000, 128));
  for (const float value : filters.rows(tone(1000, 500), 16).values) {
    CHECK(std::isfinite(value));
  }
}

TEST(the_tuned_step_is_a_whole_number_of_milliseconds_rounded_up) {
  // 5 s, 125 frames, clips of 8: 1562 rows are wanted, every 3.19 ms
  CHECK_EQUAL(tuned_step_ms(arguments(), 80000, 125, 8), 4);
  CHECK_EQUAL(tuned_step_ms(arguments(), 0, 125, 8), 1);
  CHECK_EQUAL(tuned_step_ms(arguments(), 80000, 1, 1000), 10);  // not even two rows: as it was
}
