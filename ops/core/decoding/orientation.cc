#include "core/decoding/orientation.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vmz {
namespace {

constexpr size_t kMatrixBytes = 9 * sizeof(int32_t);
constexpr double kDegrees = 57.295779513082320877;

Orientation orientation_of_bytes(const uint8_t* data, size_t size) {
  int32_t matrix[9];
  if (data == nullptr || size < kMatrixBytes) {
    return Orientation();
  }
  std::memcpy(matrix, data, kMatrixBytes);
  return orientation_of_matrix(matrix);
}

Orientation orientation_of_stream(const AVStream& stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
  const AVPacketSideData* found = av_packet_side_data_get(
      stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return found == nullptr ? Orientation() : orientation_of_bytes(found->data, found->size);
#elif LIBAVFORMAT_VERSION_MAJOR >= 59
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return orientation_of_bytes(data, size);
#else
  int size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return orientation_of_bytes(data, static_cast<size_t>(std::max(0, size)));
#endif
}

}  // namespace

Orientation orientation_of_matrix(const int32_t* matrix) {
  const double a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  const double across = std::hypot(a, c), down = std::hypot(b, d);
  Orientation found;
  if (across == 0 || down == 0) {
    return found;
  }
  found.rotation = -static_cast<int>(std::lround(std::atan2(b / down, a / across) * kDegrees));
  if (b == 0 && c == 0) {
    found.mirrored_across = a < 0;
    found.mirrored_down = d < 0;
  } else if (a == 0 && d == 0) {
    found.exchanged = true;
    found.mirrored_across = c < 0;
    found.mirrored_down = b < 0;
  } else {
    found.right_angled = false;
  }
  return found;
}

Orientation orientation_of_frame(const AVFrame& frame, const AVStream& stream) {
  const AVFrameSideData* own = av_frame_get_side_data(&frame, AV_FRAME_DATA_DISPLAYMATRIX);
  return own == nullptr ? orientation_of_stream(stream) : orientation_of_bytes(own->data, own->size);
}

Pixels Turner::turn(const Pixels& pixels, Size size) {
  if (orientation_.upright()) {
    return pixels;
  }
  const Size turned = orientation_.size(size);
  rgb_.resize(static_cast<size_t>(turned.width * turned.height * 3));
  const ptrdiff_t down = orientation_.exchanged ? 3 : pixels.stride;    // from row to row of the turned picture
  const ptrdiff_t across = orientation_.exchanged ? pixels.stride : 3;  // from pixel to pixel
  uint8_t* to = rgb_.data();
  for (int64_t y = 0; y < turned.height; ++y) {
    const int64_t from_y = orientation_.mirrored_down ? turned.height - 1 - y : y;
    for (int64_t x = 0; x < turned.width; ++x, to += 3) {
      const int64_t from_x = orientation_.mirrored_across ? turned.width - 1 - x : x;
      std::memcpy(to, pixels.data + from_y * down + from_x * across, 3);
    }
  }
  return {rgb_.data(), static_cast<ptrdiff_t>(turned.width * 3)};
}

}  // namespace vmz
