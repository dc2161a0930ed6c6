// Reads clips of files, then each as an image.
//   read_clips_tool FILE...      prints what became of each: clips or the reason
#include "core/pixels/opencv.h"
#include "reading_files.h"

using namespace vmz;

namespace {

VideoInputArgs of_video(int decode_type) {
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
  return args;
}

VideoInputArgs of_image() {
  VideoInputArgs args;
  args.batch_size = args.image_as_input = args.length_rgb = 1;
  args.crop_size = args.scale_h = args.scale_w = 100;
  return args;
}

std::vector<VideoInputArgs> of_file(int) {
  std::vector<VideoInputArgs> all = {of_video(kRandom), of_video(kUniform), of_video(kFromStartFrame)};
  if (has_opencv()) {
    all.push_back(of_image());
  }
  return all;
}

}  // namespace

int main(int count, char** paths) {
  const Readings found = read_files(count, paths, of_file);
  std::printf("%d read, %d refused\n", found.whole, found.refused);
  return 0;
}
