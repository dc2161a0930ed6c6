// From a decoded frame to RGB of another size, and to normalised planes, with the very pixels of the original reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/libav.h"
#include "core/sampling.h"

namespace vmz {

// RGB24 pixels; a view into its scaler, valid until the next frame is converted.
struct Pixels {
  const uint8_t* data;
  ptrdiff_t stride;  // bytes from row to row
};

// Converts frames to RGB24. Frames may change size or pixel format on the way.
class Scaler {
 public:
  // Throws BadRecord for a size that no video of use has.
  explicit Scaler(Size size);

  // Throws BadRecord when libswscale cannot convert the frame.
  Pixels convert(const AVFrame& frame);

  const Size& size() const {
    return size_;
  }

 private:
  Size size_;
  int stride_;
  std::unique_ptr<uint8_t, void (*)(void*)> rgb_;
  Owned<SwsContext> context_;
};

// Writes a square of `crop` x `crop` pixels, from `at` on, mirrored or not, as three normalised float32 planes.
// The planes lie `plane_values` values apart. float32((pixel - mean) * (1 / std)) for R, G, B.
void normalise(const Pixels& pixels, Offset at, int64_t crop, bool mirror, float* out, int64_t plane_values);

}  // namespace vmz
