// Small videos for tests, with a tone where one is asked for, encoded in memory without loss: frame i (up to 70) is gray of luma 16 + 3 i, so that a clip
// tells which frames it took.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "check.h"
#include "core/common/libav.h"

namespace made {

// The frame that a normalised red value of a clip came from. libswscale's fast conversion is 1.5 levels dark.
inline int frame_of(float red) {
  return static_cast<int>(std::lround((red * 58.1489f + 110.201f + 1.5f) * 219.0f / 255.0f / 3.0f));
}

inline void write_packets(AVCodecContext* codec, AVFormatContext* format, AVPacket* packet, int stream = 0) {
  while (avcodec_receive_packet(codec, packet) == 0) {
    packet->stream_index = stream;
    packet->duration = stream == 0 ? 1 : packet->duration;
    av_packet_rescale_ts(packet, codec->time_base, format->streams[stream]->time_base);
    CHECK(av_write_frame(format, packet) >= 0);
    av_packet_unref(packet);
  }
}

// A tone of 1000 Hz in all channels, between -0.5 and 0.5: its encoder takes 16-bit samples.
struct Tone {
  double seconds = 0;  // 0: there is no sound
  int rate = 16000;
  bool stereo = false;
  AVCodecID codec = AV_CODEC_ID_FLAC;
};

inline void set_layout(AVCodecContext* codec, AVFrame* frame, bool stereo) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 24, 100)
  av_channel_layout_default(codec != nullptr ? &codec->ch_layout : &frame->ch_layout, stereo ? 2 : 1);
#else
  const uint64_t layout = stereo ? AV_CH_LAYOUT_STEREO : AV_CH_LAYOUT_MONO;
  (codec != nullptr ? codec->channel_layout : frame->channel_layout) = layout;
  (codec != nullptr ? codec->channels : frame->channels) = stereo ? 2 : 1;
#endif
}

inline vmz::Owned<AVCodecContext> open_tone(AVFormatContext* format, const Tone& tone) {
  const AVCodec* encoder = avcodec_find_encoder(tone.codec);
  CHECK(encoder != nullptr);
  vmz::Owned<AVCodecContext> codec(avcodec_alloc_context3(encoder));
  codec->sample_rate = tone.rate;
  codec->sample_fmt = AV_SAMPLE_FMT_S16;
  codec->time_base = {1, tone.rate};
  set_layout(codec.get(), nullptr, tone.stereo);
  codec->flags |= format->oformat->flags & AVFMT_GLOBALHEADER ? AV_CODEC_FLAG_GLOBAL_HEADER : 0;
  CHECK(avcodec_open2(codec.get(), encoder, nullptr) >= 0);
  AVStream* stream = avformat_new_stream(format, nullptr);
  CHECK(avcodec_parameters_from_context(stream->codecpar, codec.get()) >= 0);
  stream->time_base = codec->time_base;
  return codec;
}

inline void write_tone(AVFormatContext* format, AVCodecContext* codec, const Tone& tone, AVPacket* packet) {
  const int total = static_cast<int>(tone.seconds * tone.rate), channels = tone.stereo ? 2 : 1;
  const int most = codec->frame_size > 0 ? codec->frame_size : 1024;
  for (int at = 0; at < total; at += most) {
    vmz::Owned<AVFrame> frame(av_frame_alloc());
    frame->format = AV_SAMPLE_FMT_S16;
    frame->sample_rate = tone.rate;
    frame->nb_samples = std::min(most, total - at);
    frame->pts = at;
    set_layout(nullptr, frame.get(), tone.stereo);
    CHECK(av_frame_get_buffer(frame.get(), 0) >= 0);
    auto* samples = reinterpret_cast<int16_t*>(frame->data[0]);
    for (int i = 0; i < frame->nb_samples * channels; ++i) {
      samples[i] = static_cast<int16_t>(16384 * std::sin(2 * M_PI * 1000 * (at + i / channels) / tone.rate));
    }
    CHECK(avcodec_send_frame(codec, frame.get()) >= 0);
    write_packets(codec, format, packet, 1);
  }
  CHECK(avcodec_send_frame(codec, nullptr) >= 0);
  write_packets(codec, format, packet, 1);
}

// `container`: mov states duration and frames, matroska does not.
inline std::string video(
    int frames, const char* container = "mov", int width = 64, int height = 48, const Tone& tone = Tone()) {
  AVFormatContext* format = nullptr;
  CHECK(avformat_alloc_output_context2(&format, nullptr, container, nullptr) >= 0);
  const AVCodec* encoder = avcodec_find_encoder(AV_CODEC_ID_FFV1);
  CHECK(encoder != nullptr);
  vmz::Owned<AVCodecContext> codec(avcodec_alloc_context3(encoder));
  codec->width = width;
  codec->height = height;
  codec->pix_fmt = AV_PIX_FMT_YUV420P;
  codec->time_base = {1, 25};
  codec->gop_size = 12;
  codec->flags |= format->oformat->flags & AVFMT_GLOBALHEADER ? AV_CODEC_FLAG_GLOBAL_HEADER : 0;
  CHECK(avcodec_open2(codec.get(), encoder, nullptr) >= 0);
  AVStream* stream = avformat_new_stream(format, nullptr);
  CHECK(avcodec_parameters_from_context(stream->codecpar, codec.get()) >= 0);
  stream->time_base = codec->time_base;
  vmz::Owned<AVCodecContext> sound;
  if (tone.seconds > 0) {
    sound = open_tone(format, tone);
  }
  CHECK(avio_open_dyn_buf(&format->pb) >= 0);
  CHECK(avformat_write_header(format, nullptr) >= 0);
  vmz::Owned<AVFrame> frame(av_frame_alloc());
  frame->format = AV_PIX_FMT_YUV420P;
  frame->width = width;
  frame->height = height;
  CHECK(av_frame_get_buffer(frame.get(), 0) >= 0);
  vmz::Owned<AVPacket> packet(av_packet_alloc());
  for (int i = 0; i < frames; ++i) {
    CHECK(av_frame_make_writable(frame.get()) >= 0);
    for (int plane = 0; plane < 3; ++plane) {
      const int rows = plane == 0 ? height : height / 2;
      const auto bytes = static_cast<size_t>(rows) * static_cast<size_t>(frame->linesize[plane]);
      std::memset(frame->data[plane], plane == 0 ? 16 + 3 * i : 128, bytes);
    }
    frame->pts = i;
    CHECK(avcodec_send_frame(codec.get(), frame.get()) >= 0);
    write_packets(codec.get(), format, packet.get());
  }
  CHECK(avcodec_send_frame(codec.get(), nullptr) >= 0);
  write_packets(codec.get(), format, packet.get());
  if (sound) {
    write_tone(format, sound.get(), tone, packet.get());
  }
  CHECK(av_write_trailer(format) >= 0);
  uint8_t* bytes = nullptr;
  const int size = avio_close_dyn_buf(format->pb, &bytes);
  std::string file(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  av_free(bytes);
  format->pb = nullptr;
  avformat_free_context(format);
  return file;
}

}  // namespace made
