#include "core/draws.h"

namespace vmz {

Draws draw(const VideoInputArgs& args, Random random) {
  Draws draws;
  const std::vector<int> scales = args.drawn_edges();
  draws.short_edge =
      scales.empty() ? args.short_edge : scales[static_cast<size_t>(random.below(static_cast<int64_t>(scales.size())))];
  draws.start = random.uniform();
  for (int64_t i = 0; i < args.clips(); ++i) {
    Draws::Clip clip;
    clip.stride = args.random_sampling_rate > 0 ? 1 + random.below(args.random_sampling_rate) : args.sampling_rate_rgb;
    clip.top = random.uniform();
    clip.left = random.uniform();
    clip.mirror = random.uniform() < 0.5 && args.random_mirror;
    draws.clips.push_back(clip);
  }
  return draws;
}

std::vector<Crop> crops_of_rows(const VideoInputArgs& args, const Draws& draws, Size size) {
  std::vector<Crop> crops;
  for (const Draws::Clip& clip : draws.clips) {
    if (args.random_crop) {
      const double down = static_cast<double>(size.height - args.crop_size + 1);  // both ends included
      const double across = static_cast<double>(size.width - args.crop_size + 1);
      crops.push_back({{static_cast<int64_t>(clip.top * down), static_cast<int64_t>(clip.left * across)}, clip.mirror});
      continue;
    }
    for (const Offset& offset : crop_offsets(size, args.crop_size, args.crop_per_clip)) {
      crops.push_back({offset, clip.mirror});
    }
  }
  return crops;
}

}  // namespace vmz
