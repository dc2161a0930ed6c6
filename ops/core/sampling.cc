#include "core/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vmz {
namespace {

// Durations come from files, and damaged ones state anything: products of them need more than 64 bits.
__extension__ typedef __int128 Wide;

int64_t narrow(Wide value) {
  const Wide most = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::max(-most, std::min(most, value)));
}

// How many starts leave `needed` of `frames` frames.
double random_starts(int64_t frames, int64_t needed) {
  return static_cast<double>(std::max<int64_t>(0, frames - needed) + 1);
}

int64_t round_to_pixels(float value) {
  return static_cast<int64_t>(std::round(std::min(value, 1e9f)));
}

}  // namespace

int64_t frames_needed(const VideoInputArgs& args) {
  int64_t needed = 0;
  if (args.get_rgb) {
    needed = (int64_t{args.length_rgb} - 1) * std::max(args.sampling_rate_rgb, args.random_sampling_rate) + 1;
  }
  if (args.get_optical_flow) {  // the flow's arguments count only when flow is asked for
    needed = std::max(needed, (int64_t{args.length_of} - 1) * args.sampling_rate_of + args.frame_gap_of + 1);
  }
  return needed;
}

std::vector<int64_t> uniform_starts(int64_t frames, int64_t needed, int64_t clips) {
  std::vector<int64_t> starts(static_cast<size_t>(clips), 0);
  if (clips > 1) {
    const float step = static_cast<float>(frames - needed) / static_cast<float>(clips - 1);
    for (size_t clip = 0; clip < starts.size(); ++clip) {
      starts[clip] = static_cast<int64_t>(std::floor(static_cast<float>(clip) * step));
    }
  }
  return starts;
}

int64_t random_start(double draw, int64_t frames, int64_t needed) {
  return static_cast<int64_t>(draw * random_starts(frames, needed));
}

double redrawn(double draw, int64_t expected, int64_t frames, int64_t needed) {
  const double bound = random_starts(frames, needed) / random_starts(expected, needed);
  return bound < 1 ? std::max(0.0, (draw - bound) / (1 - bound)) : draw;
}

int64_t start_timestamp(int64_t duration, int64_t frames, int64_t start_frame) {
  return narrow(Wide{duration} * start_frame / frames);
}

int64_t latest_start(int64_t duration, int64_t frames, int64_t needed) {
  const Wide length = (Wide{duration} * needed + frames - 1) / frames;
  return std::max<int64_t>(0, narrow(duration - length));
}

int64_t seek_timestamp(int64_t duration, int64_t frames, int64_t start) {
  return std::max<int64_t>(0, narrow(Wide{start} - Wide{kSeekMarginFrames} * duration / frames));
}

Size scale_short_edge(Size size, int64_t edge) {
  const float width = static_cast<float>(size.width), height = static_cast<float>(size.height);
  const float wanted = static_cast<float>(edge);
  if (size.width < size.height) {
    return {edge, round_to_pixels(wanted / width * height)};
  }
  return {round_to_pixels(wanted / height * width), edge};
}

Size output_size(const VideoInputArgs& args, Size size, int64_t short_edge) {
  if (args.video_res_type == kFixedSize) {
    return {args.scale_w, args.scale_h};
  }
  if (args.video_res_type == kShortEdge) {
    return scale_short_edge(size, short_edge);
  }
  return std::min(size.width, size.height) < args.crop_size ? scale_short_edge(size, args.crop_size) : size;
}

std::vector<Offset> crop_offsets(Size size, int64_t crop, int64_t crops) {
  const int64_t down = size.height - crop, across = size.width - crop;
  std::vector<Offset> offsets;
  for (int64_t j = 0; j < crops; ++j) {
    if (crops == 1) {
      offsets.push_back({down / 2, across / 2});
    } else if (size.height < size.width) {
      offsets.push_back({down / 2, j * across / (crops - 1)});
    } else {
      offsets.push_back({j * down / (crops - 1), across / 2});
    }
  }
  return offsets;
}

}  // namespace vmz
