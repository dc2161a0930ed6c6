// Small videos for tests, encoded in memory without loss: frame i (up to 70) is gray of luma 16 + 3 i, so that a clip
// tells which frames it took.
#pragma once

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

inline void write_packets(AVCodecContext* codec, AVFormatContext* format, AVPacket* packet) {
  while (avcodec_receive_packet(codec, packet) == 0) {
    packet->stream_index = 0;
    packet->duration = 1;
    av_packet_rescale_ts(packet, codec->time_base, format->streams[0]->time_base);
    CHECK(av_write_frame(format, packet) >= 0);
    av_packet_unref(packet);
  }
}

// `container`: mov states duration and frames, matroska does not.
inline std::string video(int frames, const char* container = "mov", int width = 64, int height = 48) {
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
