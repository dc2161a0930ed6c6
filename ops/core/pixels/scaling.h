// From a decoded frame to RGB of another size, and to normalised planes, with the very pixels of the original reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/common/libav.h"
#include "core/sampling.h"

namespace vmz {

// RGB24 pixels; a view into its scaler, valid until the next frame is converted.
struct Pixels {
  const uint8_t* data;
  ptrdiff_t stride;  // bytes from row to row
};

// The square that a row of the batch shows.
struct Crop {
  Offset at;
  bool mirror;

  bool operator==(const Crop& other) const {
    return at.top == other.at.top && at.left == other.at.left && mirror == other.mirror;
  }
};

// Converts frames to RGB24. Frames may change size or pixel format on the way.
class Scaler {
 public:
  // `how`: flags of libswscale. Throws BadRecord for a size that no video of use has.
  explicit Scaler(Size size, int how = SWS_FAST_BILINEAR);

  // Throws BadRecord when libswscale cannot convert the frame.
  Pixels convert(const AVFrame& frame);

  const Size& size() const {
    return size_;
  }

 private:
  Size size_;
  int how_;
  int stride_;
  std::unique_ptr<uint8_t, void (*)(void*)> rgb_;
  Owned<SwsContext> context_;
};

// Writes a square of `size` x `size` pixels as three normalised float32 planes.
// The planes lie `plane_values` values apart. float32((pixel - mean) * (1 / std)) for R, G, B.
void normalise(const Pixels& pixels, const Crop& crop, int64_t size, float* out, int64_t plane_values);

// Writes a square of `size` x `size` pixels as RGB24 without gaps.
void cut_out(const Pixels& pixels, const Crop& crop, int64_t size, uint8_t* out);

}  // namespace vmz
