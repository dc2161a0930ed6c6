#include "core/pixels/image.h"

#include <fstream>
#include <iterator>
#include <string>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include "core/common/errors.h"
#include "core/pixels/opencv.h"
#include "core/pixels/scaling.h"

namespace vmz {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Whether the end marker is missing behind the last scan: FFmpeg paints the rest of the picture gray.
bool is_cut_off(const std::string& jpeg) {
  const size_t end = jpeg.rfind("\xff\xd9"), scan = jpeg.rfind("\xff\xda");
  return end == std::string::npos || (scan != std::string::npos && end < scan);
}

// In its own size, without gaps.
std::vector<uint8_t> rgb_of(const AVFrame& frame) {
  std::vector<uint8_t> rgb(static_cast<size_t>(frame.width) * static_cast<size_t>(frame.height) * 3);
  const auto format = static_cast<AVPixelFormat>(frame.format);
  const std::string name = av_get_pix_fmt_name(format);
  if (name.compare(0, 4, "yuvj") == 0) {  // a JPEG; libswscale has no such filter as libjpeg, which the original uses
    const AVPixFmtDescriptor* planes = av_pix_fmt_desc_get(format);
    JpegPlane plane[3];
    for (int i = 0; i < 3; ++i) {
      const int across = i > 0 ? planes->log2_chroma_w : 0, down = i > 0 ? planes->log2_chroma_h : 0;
      plane[i] = {
          frame.data[i], frame.linesize[i], AV_CEIL_RSHIFT(frame.width, across), AV_CEIL_RSHIFT(frame.height, down)};
    }
    jpeg_to_rgb(plane, rgb.data());
    return rgb;
  }
  Scaler scaler({frame.width, frame.height}, SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT);
  const Pixels pixels = scaler.convert(frame);
  const auto bytes = static_cast<size_t>(frame.width) * 3;
  for (int row = 0; row < frame.height; ++row) {
    const uint8_t* from = pixels.data + row * pixels.stride;
    std::copy(from, from + bytes, rgb.begin() + static_cast<ptrdiff_t>(bytes) * row);
  }
  return rgb;
}

}  // namespace

std::vector<uint8_t> read_image(const VideoSource& source, Size size, Watch* watch) {
  Video image(source, watch);
  const std::string format = image.format();
  if (!ends_with(format, "_pipe")) {  // png_pipe, jpeg_pipe and so on
    throw BadRecord("it contains a video, not an image; set image_as_input=0");
  }
  const AVFrame* frame = image.next();
  bool whole = frame != nullptr;
  if (whole && format == "jpeg_pipe") {
    std::string content;
    if (source.bytes != nullptr) {
      content.assign(source.bytes, source.size);
    } else {
      std::ifstream file(source.path, std::ios::binary);
      content.assign(std::istreambuf_iterator<char>(file), {});
    }
    whole = !is_cut_off(content);
  }
  if (!whole) {
    const std::string& why = image.ended_by();
    throw BadRecord("the image cannot be decoded (" + (why.empty() ? std::string("it is truncated") : why) + ")");
  }
  std::vector<uint8_t> out(static_cast<size_t>(size.width * size.height) * 3);
  resize_by_area(
      rgb_of(*frame).data(), ptrdiff_t{frame->width} * 3, frame->width, frame->height, out.data(),
      static_cast<int>(size.width), static_cast<int>(size.height));
  return out;
}

}  // namespace vmz
