// FFmpeg's headers, and its objects owned.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace vmz {

constexpr int64_t kMaxPixels = int64_t{1} << 26;  // of a picture: twice an 8K frame

struct FreeLibav {
  void operator()(AVFormatContext* p) const {
    avformat_close_input(&p);
  }
  void operator()(AVCodecContext* p) const {
    avcodec_free_context(&p);
  }
  void operator()(AVFrame* p) const {
    av_frame_free(&p);
  }
  void operator()(AVPacket* p) const {
    av_packet_free(&p);
  }
  void operator()(SwsContext* p) const {
    sws_freeContext(p);
  }
  void operator()(SwrContext* p) const {
    swr_free(&p);
  }
  void operator()(AVIOContext* p) const {
    av_freep(&p->buffer);
    avio_context_free(&p);
  }
};

template <class T>
using Owned = std::unique_ptr<T, FreeLibav>;

inline std::string libav_reason(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  av_strerror(error, text, sizeof(text));
  return text;
}

}  // namespace vmz
