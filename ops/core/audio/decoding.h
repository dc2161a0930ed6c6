// The sound of a file as mono samples at one rate, through FFmpeg's decoders and libswresample.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/common/libav.h"
#include "core/common/watch.h"

namespace vmz {

// Decodes the packets of one audio stream. What cannot be decoded is left out.
class Sound {
 public:
  // stream: null where the file has none. fault: why it is not the file's sound, or nothing. `watch` (may be null) is
  // told of progress. Throws nothing about the stream: missing() says what is wrong with it.
  Sound(AVStream* stream, const AudioArgs& args, Watch* watch, const std::string& fault = "");

  // Null where there is nothing to decode.
  AVStream* stream() const {
    return codec_ ? stream_ : nullptr;
  }
  // With audio_timestamps: the time, in seconds, at which sample 0 lies, and how many seconds there are, 0: any.
  void place(double origin, double seconds);

  // All packets of the stream are to come: where there are none, the sound is missing.
  void expect_all() {
    expects_all_ = true;
  }
  // The next packet of the stream. Throws BadRecord for sound that is longer than any that is read.
  void add(AVPacket* packet);
  // There is no other packet.
  void end();

  // The samples, on a scale of -1..1, which this then has no more. As the original does, the decoder and the resampler
  // are not drained: the last few are missing.
  std::vector<float> take() {
    return std::move(samples_);
  }
  // Why there is no sound, or nothing. Sound that ended before the point that was sought is not missing.
  std::string missing() const;

 private:
  void convert(const AVFrame& frame);
  bool open_resampler(const AVFrame& frame);
  void append(const uint8_t** data, int count);
  void start_run(const AVFrame& frame);
  void end_run();

  AVStream* const stream_;
  const int rate_;
  const bool by_timestamps_;
  Watch* const watch_;
  Owned<AVCodecContext> codec_;
  Owned<AVFrame> frame_;
  Owned<SwrContext> resampler_;
  std::vector<float> samples_;
  std::string missing_;  // why the stream cannot be decoded at all
  std::string fault_;    // why a packet was not decoded
  bool expects_all_ = false;
  int64_t packets_ = 0, frames_ = 0, converted_ = 0;
  // What the resampler was made for
  uint64_t layout_ = 0;
  int channels_ = 0, format_ = -1, in_rate_ = 0;
  double origin_ = 0, seconds_ = 0;
  int64_t too_early_ = 0;  // samples to come that lie before sample 0
  double expected_ = 0;    // time of the next frame, if the sound goes on as it did
};

}  // namespace vmz
