// Reads clips of files with the core alone, each with several arguments: for valgrind, sanitizers and timing.
//   read_clips_tool FILE...      prints what became of each: clips or the reason
#include <cstdio>
#include <vector>

#include "core/clips.h"
#include "core/errors.h"

using namespace vmz;

int main(int count, char** paths) {
  av_log_set_level(AV_LOG_FATAL);
  int read = 0, refused = 0;
  for (int i = 1; i < count; ++i) {
    for (int decode_type : {kRandom, kUniform, kFromStartFrame}) {
      VideoInputArgs args;
      args.batch_size = 1;
      args.length_rgb = 8;
      args.crop_size = 112;
      args.scale_h = 128;
      args.scale_w = 171;
      args.decode_type = decode_type;
      args.clip_per_video = decode_type == kUniform ? 3 : 1;
      args.video_res_type = decode_type == kRandom ? kOriginalSize : kFixedSize;
      args.check();
      std::vector<float> out(static_cast<size_t>(args.video_values()));
      VideoSource source;
      source.path = paths[i];
      try {
        read_clips(source, 5, args, {1, 0, static_cast<uint64_t>(i)}, nullptr, out.data());
        ++read;
      } catch (const BadRecord& error) {
        ++refused;
        std::printf("%s: %s\n", paths[i], error.what());
      }
    }
  }
  std::printf("%d read, %d refused\n", read, refused);
  return 0;
}
