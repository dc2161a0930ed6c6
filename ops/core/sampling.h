// Which frames, which size, which crop: pure functions of the arguments and of what a stream states.
//
// Where the original computes in float32 or in integers, so do these: a double gives other frames now and then.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arguments.h"

namespace vmz {

constexpr int64_t kWorthSeeking = 32;      // a start frame before it is decoded up to: no slower than to look for it
constexpr int64_t kSeekMarginFrames = 10;  // how far before the wanted frame the original seeks

struct Size {
  int64_t width, height;
};

struct Offset {
  int64_t top, left;
};

// Frames that must follow a clip's start.
int64_t frames_needed(const VideoInputArgs& args);

// First frames of `clips` clips spread evenly over `frames` frames, which are no fewer than `needed`.
std::vector<int64_t> uniform_starts(int64_t frames, int64_t needed, int64_t clips);

// The start that `draw`, in [0, 1), means: all that leave `needed` of `frames` frames are equally likely.
int64_t random_start(double draw, int64_t frames, int64_t needed);

// Another draw, where `draw` meant a start among `expected` frames that the video's `frames` frames do not reach. Such
// draws lie above a bound; spread over [0, 1) again they leave all starts equally likely.
double redrawn(double draw, int64_t expected, int64_t frames, int64_t needed);

// Timestamp of a frame number in the stream's time base, as if all frames were equally long and began at 0.
// So the original finds a frame; this and the two below are of use with original_start_faults=1 only.
int64_t start_timestamp(int64_t duration, int64_t frames, int64_t start_frame);

// The last timestamp at which a random clip may start.
int64_t latest_start(int64_t duration, int64_t frames, int64_t needed);

// Where to seek, backward to a key frame, so that the frame at `start` is certainly decoded.
int64_t seek_timestamp(int64_t duration, int64_t frames, int64_t start);

// The size with the short edge scaled to `edge`, in float32.
Size scale_short_edge(Size size, int64_t edge);

// The size to which frames are scaled. `short_edge` is the one drawn from jitter_scales, or the argument itself.
Size output_size(const VideoInputArgs& args, Size size, int64_t short_edge);

// `crops` square crops: the centre for one, else spread along the longer side, in integers.
std::vector<Offset> crop_offsets(Size size, int64_t crop, int64_t crops);

}  // namespace vmz
