// Reads sound of files, beside their pictures and without.
//   hear_clips_tool FILE...      prints what became of each: log-mels, zeros or the reason
#include "reading_files.h"

using namespace vmz;

namespace {

VideoInputArgs arguments(int decode_type, int get_rgb, int align) {
  VideoInputArgs args;
  args.is_av_input = true;
  args.batch_size = args.audio.get_logmels = 1;
  args.get_rgb = get_rgb;
  args.length_rgb = 8;
  args.crop_size = 32;
  args.scale_h = 32;
  args.scale_w = 40;
  args.decode_type = decode_type;
  args.clip_per_video = decode_type == kUniform ? 3 : 1;
  args.audio.align_audio = align;
  args.audio.audio_length = align == kCentred ? 16 : 0;
  args.audio.tune_audio_step = align == kAtStart;
  args.audio.audio_timestamps = align % 2;
  return args;
}

std::vector<VideoInputArgs> of_file(int number) {
  std::vector<VideoInputArgs> all;
  for (int get_rgb : {0, 1}) {
    for (int decode_type : {kRandom, kUniform, kFromStartFrame}) {
      all.push_back(arguments(decode_type, get_rgb, number % 4));
      all.push_back(arguments(decode_type, get_rgb, (number + 1) % 4));
    }
  }
  return all;
}

}  // namespace

int main(int count, char** paths) {
  const Readings found = read_files(count, paths, of_file);
  std::printf("%d heard, %d without sound, %d refused\n", found.whole, found.silent, found.refused);
  return 0;
}
