// What chance decides of a video's clips.
#pragma once

#include <vector>

#include "core/arguments.h"
#include "core/common/random.h"
#include "core/pixels/scaling.h"
#include "core/sampling.h"

namespace vmz {

// What chance decides for one video, drawn before decoding so that it never depends on how decoding goes.
struct Draws {
  int64_t short_edge;
  double start;  // where a random clip starts, in [0, 1)
  struct Clip {
    int64_t stride;
    double top, left;  // where a random crop lies, in [0, 1)
    bool mirror;
  };
  std::vector<Clip> clips;
};

Draws draw(const VideoInputArgs& args, Random random);

// What each row shows of frames of this size.
std::vector<Crop> crops_of_rows(const VideoInputArgs& args, const Draws& draws, Size size);

}  // namespace vmz
