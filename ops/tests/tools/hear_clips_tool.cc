// Reads sound of files with the core alone, beside their pictures and without, with several arguments each: for
// sanitizers and timing.
//   hear_clips_tool FILE...      prints what became of each: log-mels, zeros or the reason
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/clips.h"
#include "core/common/errors.h"

using namespace vmz;

namespace {

int heard = 0, silent = 0, refused = 0;

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

void read_one(const char* path, const VideoInputArgs& args) {
  args.check();
  std::vector<float> out(static_cast<size_t>(args.video_values()));
  std::vector<float> logmels(static_cast<size_t>(args.logmel_video_values()), NAN);
  VideoSource source;
  source.path = path;
  try {
    const Reading reading = read_clips(source, 5, args, {1, 0, 1}, nullptr, out.data(), nullptr, logmels.data());
    ++(reading.without_sound.empty() ? heard : silent);
    for (const float value : logmels) {
      if (!std::isfinite(value)) {
        std::printf("%s: %g among the log-mels\n", path, static_cast<double>(value));
        std::exit(1);
      }
    }
  } catch (const BadRecord& error) {
    ++refused;
    std::printf("%s: %s\n", path, error.what());
  }
}

}  // namespace

int main(int count, char** paths) {
  av_log_set_level(AV_LOG_FATAL);
  for (int i = 1; i < count; ++i) {
    for (int get_rgb : {0, 1}) {
      for (int decode_type : {kRandom, kUniform, kFromStartFrame}) {
        read_one(paths[i], arguments(decode_type, get_rgb, i % 4));
        read_one(paths[i], arguments(decode_type, get_rgb, (i + 1) % 4));
      }
    }
  }
  std::printf("%d heard, %d without sound, %d refused\n", heard, silent, refused);
  return 0;
}
