// Reads clips of files with the core alone, each with several arguments, then as an image: for valgrind, sanitizers and
// timing.
//   read_clips_tool FILE...      prints what became of each: clips or the reason
#include <cstdio>
#include <vector>

#include "core/clips.h"
#include "core/common/errors.h"
#include "core/pixels/opencv.h"

using namespace vmz;

namespace {

int read = 0, refused = 0;

void read_one(const char* path, const VideoInputArgs& args) {
  args.check();
  std::vector<float> out(static_cast<size_t>(args.video_values()));
  std::vector<float> flow(static_cast<size_t>(args.flow_video_values()));
  VideoSource source;
  source.path = path;
  try {
    read_clips(source, 5, args, {1, 0, 1}, nullptr, out.data(), flow.data());
    ++read;
  } catch (const BadRecord& error) {
    ++refused;
    std::printf("%s: %s\n", path, error.what());
  }
}

}  // namespace

int main(int count, char** paths) {
  av_log_set_level(AV_LOG_FATAL);
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
      if (decode_type != kRandom && has_opencv()) {
        args.get_optical_flow = 1;
        args.length_of = args.frame_gap_of = 2;
        args.do_flow_aggregation = decode_type == kUniform;
        args.flow_data_type = decode_type == kUniform ? 3 : 1;
      }
      read_one(paths[i], args);
    }
    if (has_opencv()) {
      VideoInputArgs args;
      args.batch_size = args.image_as_input = args.length_rgb = 1;
      args.crop_size = args.scale_h = args.scale_w = 100;
      read_one(paths[i], args);
    }
  }
  std::printf("%d read, %d refused\n", read, refused);
  return 0;
}
