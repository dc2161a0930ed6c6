#include "core/pixels/scaling.h"

#include <algorithm>
#include <new>
#include <string>

#include "core/common/errors.h"

namespace vmz {
namespace {

// libswscale's SIMD writes rows in blocks of pixels, past their end where the stride leaves room for it; where it
// leaves none, some versions leave the last columns unwritten. So each row gets room for a block more.
constexpr int64_t kPaddingPixels = 64;
constexpr int64_t kAlignment = 64;

constexpr float kMean[3] = {110.201f, 100.64f, 95.9966f};  // R, G, B
constexpr float kStd[3] = {58.1489f, 56.4701f, 55.3324f};

// The normalised value of every pixel value: a look-up gives the same bits as the arithmetic, faster.
struct Normalised {
  float of[3][256];
  Normalised() {
    for (int channel = 0; channel < 3; ++channel) {
      const float scale = 1.0f / kStd[channel];
      for (int value = 0; value < 256; ++value) {
        of[channel][value] = (static_cast<float>(value) - kMean[channel]) * scale;
      }
    }
  }
};

int64_t padded_stride(int64_t width) {
  return ((width + kPaddingPixels) * 3 + kAlignment - 1) / kAlignment * kAlignment;
}

std::string text(Size size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

Size checked(Size size) {
  if (size.width < 1 || size.height < 1 || size.width > kMaxPixels / size.height) {
    throw BadRecord("its frames become " + text(size) + ", which is not a valid size");
  }
  return size;
}

uint8_t* allocate(size_t bytes) {
  void* memory = av_mallocz(bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return static_cast<uint8_t*>(memory);
}

// The pixel of a crop that comes first in row `y`.
const uint8_t* row_of(const Pixels& pixels, const Crop& crop, int64_t size, int64_t y) {
  return pixels.data + (crop.at.top + y) * pixels.stride + (crop.at.left + (crop.mirror ? size - 1 : 0)) * 3;
}

}  // namespace

Scaler::Scaler(Size size, int how)
    : size_(checked(size)),
      how_(how),
      stride_(static_cast<int>(padded_stride(size.width))),
      rgb_(allocate(static_cast<size_t>(stride_) * static_cast<size_t>(size.height + 1)), av_free) {}

Pixels Scaler::convert(const AVFrame& frame) {
  const int width = static_cast<int>(size_.width), height = static_cast<int>(size_.height);
  // One call from the codec's format and size to the output's, default colour tables: nothing the stream says of its
  // colours counts, as in the original.
  context_.reset(sws_getCachedContext(
      context_.release(), frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), width, height,
      AV_PIX_FMT_RGB24, how_, nullptr, nullptr, nullptr));
  uint8_t* const planes[4] = {rgb_.get(), nullptr, nullptr, nullptr};
  const int strides[4] = {stride_, 0, 0, 0};
  if (!context_ || frame.data[0] == nullptr ||
      sws_scale(context_.get(), frame.data, frame.linesize, 0, frame.height, planes, strides) != height) {
    throw BadRecord("its frames of " + text({frame.width, frame.height}) + " cannot be scaled to " + text(size_));
  }
  return {rgb_.get(), stride_};
}

void normalise(const Pixels& pixels, const Crop& crop, int64_t size, float* out, int64_t plane_values) {
  static const Normalised table;
  const ptrdiff_t step = crop.mirror ? -3 : 3;
  for (int64_t y = 0; y < size; ++y) {
    const uint8_t* from = row_of(pixels, crop, size, y);
    float* red = out + y * size;
    float* green = red + plane_values;
    float* blue = green + plane_values;
    for (int64_t x = 0; x < size; ++x, from += step) {
      red[x] = table.of[0][from[0]];
      green[x] = table.of[1][from[1]];
      blue[x] = table.of[2][from[2]];
    }
  }
}

void cut_out(const Pixels& pixels, const Crop& crop, int64_t size, uint8_t* out) {
  const ptrdiff_t step = crop.mirror ? -3 : 3;
  for (int64_t y = 0; y < size; ++y) {
    const uint8_t* from = row_of(pixels, crop, size, y);
    for (int64_t x = 0; x < size; ++x, from += step, out += 3) {
      std::copy(from, from + 3, out);
    }
  }
}

}  // namespace vmz
