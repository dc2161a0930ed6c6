#include "core/audio/decoding.h"

#include <algorithm>
#include <cmath>

#include "core/common/errors.h"
#include "core/decoding/opened.h"

extern "C" {
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
}

namespace vmz {
namespace {

constexpr int64_t kMaxSamples = int64_t{1} << 28;  // of one video's sound, 1 GB: 4.6 hours at 16 kHz
constexpr int kLowestRate = 100, kHighestRate = 1000000;  // of a file; damaged ones state anything
constexpr float kLoudest = 1e15f;                         // whose power is still a number; damaged floats are larger
constexpr double kGap = 0.05;  // seconds between a frame's timestamp and where the frames before it end

// FFmpeg 5.1 has other fields and calls for the layout of channels.
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 24, 100)
uint64_t layout_of(const AVFrame& frame) {
  return frame.ch_layout.order == AV_CHANNEL_ORDER_NATIVE ? frame.ch_layout.u.mask : 0;
}

int channels_of(const AVFrame& frame) {
  return frame.ch_layout.nb_channels;
}

SwrContext* to_mono(const AVFrame& frame, int rate) {
  SwrContext* made = nullptr;
  AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, given = {};
  if (av_channel_layout_copy(&given, &frame.ch_layout) < 0) {
    return nullptr;
  }
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const int status =
      swr_alloc_set_opts2(&made, &mono, AV_SAMPLE_FMT_FLT, rate, &given, format, frame.sample_rate, 0, nullptr);
  av_channel_layout_uninit(&given);
  if (status < 0) {
    swr_free(&made);
  }
  return made;
}
#else
uint64_t layout_of(const AVFrame& frame) {
  return frame.channel_layout;
}

int channels_of(const AVFrame& frame) {
  return frame.channels;
}

SwrContext* to_mono(const AVFrame& frame, int rate) {
  const auto format = static_cast<AVSampleFormat>(frame.format);
  return swr_alloc_set_opts(
      nullptr, AV_CH_LAYOUT_MONO, AV_SAMPLE_FMT_FLT, rate, static_cast<int64_t>(frame.channel_layout), format,
      frame.sample_rate, 0, nullptr);
}
#endif

std::string cannot_decode(const std::string& why) {
  return "its audio stream cannot be decoded (" + why + ")";
}

}  // namespace

Sound::Sound(AVStream* stream, const AudioArgs& args, Watch* watch, const std::string& fault)
    : stream_(stream),
      rate_(args.logmel_audio_sr),
      by_timestamps_(args.audio_timestamps != 0),
      watch_(watch),
      frame_(allocated(av_frame_alloc())) {
  if (stream == nullptr) {
    missing_ = "it has no audio stream";
    return;
  }
  if (!fault.empty()) {
    missing_ = fault;
    return;
  }
  const AVCodec* decoder = avcodec_find_decoder(stream->codecpar->codec_id);
  if (decoder == nullptr) {
    missing_ = "there is no decoder for its audio stream";
    return;
  }
  Owned<AVCodecContext> codec(allocated(avcodec_alloc_context3(decoder)));
  int status = avcodec_parameters_to_context(codec.get(), stream->codecpar);
  if (status >= 0) {
    codec->pkt_timebase = stream->time_base;
    DecoderOptions options;
    status = avcodec_open2(codec.get(), decoder, &options.dictionary);
  }
  if (status < 0) {
    missing_ = cannot_decode(libav_reason(status));
    return;
  }
  codec_ = std::move(codec);
}

void Sound::place(double origin, double seconds) {
  origin_ = expected_ = origin;
  seconds_ = seconds;
}

void Sound::add(AVPacket* packet) {
  ++packets_;
  int status = avcodec_send_packet(codec_.get(), packet);
  while (status >= 0) {
    status = avcodec_receive_frame(codec_.get(), frame_.get());
    if (status >= 0) {
      ++frames_;
      if (watch_ != nullptr) {
        watch_->advance();
      }
      convert(*frame_);
    }
  }
  if (status != AVERROR(EAGAIN) && status != AVERROR_EOF) {
    fault_ = libav_reason(status);
  }
}

void Sound::end() {
  if (by_timestamps_) {
    end_run();
    if (seconds_ > 0 && converted_ > 0) {
      const double wanted = std::min(seconds_ * rate_, static_cast<double>(kMaxSamples));
      samples_.resize(static_cast<size_t>(std::llround(wanted)), 0.0f);
    }
  }
  codec_.reset();
}

std::string Sound::missing() const {
  if (!missing_.empty() || converted_ > 0) {
    return missing_;
  }
  if (packets_ == 0) {
    return expects_all_ ? "its audio stream is empty" : "";
  }
  if (frames_ == 0) {
    return cannot_decode(fault_.empty() ? "none of its packets gives a frame" : fault_);
  }
  return fault_;
}

bool Sound::open_resampler(const AVFrame& frame) {
  const bool fits = resampler_ && layout_ == layout_of(frame) && channels_ == channels_of(frame) &&
      format_ == frame.format && in_rate_ == frame.sample_rate;
  if (fits) {
    return true;
  }
  if (resampler_) {
    end_run();
  }
  layout_ = layout_of(frame);
  channels_ = channels_of(frame);
  format_ = frame.format;
  in_rate_ = frame.sample_rate;
  if (layout_ == 0) {  // FFmpeg 5 and later guess one
    fault_ = "its sound states no channel layout, so the original could not convert it";
    return false;
  }
  if (in_rate_ < kLowestRate || in_rate_ > kHighestRate) {
    fault_ = "its sound has " + std::to_string(in_rate_) + " samples a second";
    return false;
  }
  resampler_.reset(to_mono(frame, rate_));
  const int status = resampler_ ? swr_init(resampler_.get()) : AVERROR(ENOMEM);
  if (status < 0) {
    resampler_.reset();
    fault_ = "its sound cannot be converted (" + libav_reason(status) + ")";
    return false;
  }
  return true;
}

void Sound::convert(const AVFrame& frame) {
  if (by_timestamps_) {
    start_run(frame);
  }
  if (frame.nb_samples <= 0 || !open_resampler(frame)) {
    return;
  }
  append(const_cast<const uint8_t**>(frame.extended_data), frame.nb_samples);
}

void Sound::append(const uint8_t** data, int count) {
  const int64_t most = int64_t{swr_get_out_samples(resampler_.get(), count)};
  const size_t before = samples_.size();
  if (most < 0 || static_cast<int64_t>(before) + most > kMaxSamples) {
    throw BadRecord("its sound is longer than the " + std::to_string(kMaxSamples) + " samples that are read");
  }
  samples_.resize(before + static_cast<size_t>(most));
  auto* out = reinterpret_cast<uint8_t*>(samples_.data() + before);
  const int got = swr_convert(resampler_.get(), &out, static_cast<int>(most), data, count);
  samples_.resize(before + static_cast<size_t>(std::max(0, got)));
  if (got < 0) {
    fault_ = "its sound cannot be converted (" + libav_reason(got) + ")";
    return;
  }
  converted_ += data != nullptr;
  const int64_t cut = std::min<int64_t>(too_early_, got);
  too_early_ -= cut;
  samples_.erase(
      samples_.begin() + static_cast<ptrdiff_t>(before), samples_.begin() + static_cast<ptrdiff_t>(before) + cut);
  for (size_t i = before; i < samples_.size(); ++i) {
    if (!(std::abs(samples_[i]) < kLoudest)) {
      samples_[i] = 0;
    }
  }
}

// With timestamps: begins anew where a frame does not follow on the last one, with silence up to it.
void Sound::start_run(const AVFrame& frame) {
  const double base = av_q2d(stream_->time_base);
  const int64_t stated = frame.best_effort_timestamp;
  const double time = stated == AV_NOPTS_VALUE ? expected_ : static_cast<double>(stated) * base;
  if (frames_ == 1 || std::abs(time - expected_) > kGap) {
    end_run();
    const double place = std::round((time - origin_) * rate_);
    if (place > static_cast<double>(kMaxSamples)) {
      throw BadRecord("its sound is longer than the " + std::to_string(kMaxSamples) + " samples that are read");
    }
    samples_.resize(static_cast<size_t>(std::max(0.0, place)), 0.0f);
    too_early_ = static_cast<int64_t>(std::min(std::max(0.0, -place), 1e15));
    expected_ = time;
  }
  expected_ += frame.sample_rate > 0 ? static_cast<double>(frame.nb_samples) / frame.sample_rate : 0;
}

// The samples that the resampler holds back, where other sound follows.
void Sound::end_run() {
  if (resampler_) {
    append(nullptr, 0);
    resampler_.reset();
  }
}

}  // namespace vmz
