// Display matrices: how a player turns the frames of a phone's video. Readers leave them alone unless asked.
#pragma once

#include <cstdint>
#include <vector>

#include "core/common/libav.h"
#include "core/pixels/scaling.h"
#include "core/sampling.h"

namespace vmz {

// What a display matrix does to frames: rows and columns exchanged first, then mirrored.
struct Orientation {
  bool exchanged = false;
  bool mirrored_across = false;  // left and right
  bool mirrored_down = false;    // top and bottom
  int rotation = 0;              // in degrees, counterclockwise, as FFmpeg states it
  bool right_angled = true;      // whether that is a multiple of 90

  // The size of frames turned. Turning the size that it gives back is the original one.
  Size size(Size of) const {
    return exchanged ? Size{of.height, of.width} : of;
  }
  bool upright() const {
    return !exchanged && !mirrored_across && !mirrored_down;
  }
};

// Of FFmpeg's nine integers: a frame's (x, y) is shown at (a x + c y, b x + d y), its a, b, c, d at 0, 1, 3, 4.
Orientation orientation_of_matrix(const int32_t* matrix);

// Of a decoded frame: by its own display matrix, or else by that of its stream.
Orientation orientation_of_frame(const AVFrame& frame, const AVStream& stream);

// Turns pictures of RGB24.
class Turner {
 public:
  explicit Turner(const Orientation& orientation) : orientation_(orientation) {}

  // `size`: of `pixels`. The result is valid until the next picture is turned.
  Pixels turn(const Pixels& pixels, Size size);

 private:
  const Orientation orientation_;
  std::vector<uint8_t> rgb_;
};

}  // namespace vmz
