// The sound of one video on its way to the log-mels of its clips, heard while the frames are read, or alone.
//
// The original takes all sound of a file for uniform clips, and for others what follows the point that it seeks for the
// frames, whose times it computes from the stated duration and number of frames.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/arguments.h"
#include "core/audio/decoding.h"
#include "core/decoding/decoding.h"

namespace vmz {

// Where a clip was found in its video.
struct Found {
  int64_t first = 0;  // frame, counted from the first one decoded
  int64_t time = kNoTime;  // of that frame, in the stream's time base
  std::vector<int64_t> times;  // of the frames before it, in increasing order

  static constexpr int64_t kNoTime = AV_NOPTS_VALUE;
};

class Hearing {
 public:
  // out: of all clips of the video, (clips * crops, logmel_frames, logmel_filters) float32 values; null: nothing is heard.
  Hearing(const VideoInputArgs& args, Watch* watch, float* out) : args_(args), watch_(watch), out_(out) {}

  // A video that is about to be read from its beginning: its sound is heard meanwhile, if all of it is to be.
  void begin(Video& video);
  // A video that was sought as the original does, and is about to be read from there.
  void begin_at_seek(Video& video);
  // No other frame of `video` is needed: hears the rest of it.
  void end(Video& video);
  // The clips have been read from `video`, whose place is of no more use: hears what has not been heard.
  void finish(Video& video, const VideoSource& source, const Found& found);
  // The sound of a file whose frames nobody asks for. draw: in [0, 1), where a random clip begins.
  void alone(const VideoSource& source, int64_t start_frame, double draw);

  // Writes the log-mels. Returns why there is no sound, or nothing; the log-mels are zeros then.
  std::string write();

 private:
  bool takes_all(const Video& video) const;
  int64_t stated_frames(const Video& video) const;
  void make_sound(const OpenedFile& file, double from = 0, double seconds = 0);
  void listen(Video& video);
  void hear_after_seek(Video& video, const Found& found);
  double start_alone(const OpenedFile& file, int64_t start_frame, double draw) const;
  void hear_file(const OpenedFile& file);
  void copy_to_crops();

  const VideoInputArgs& args_;
  Watch* const watch_;
  float* const out_;
  std::unique_ptr<Sound> sound_;
  bool is_heard_ = false;
  int64_t frames_ = 0;  // that the container states
  int64_t first_ = 0;  // the clip's first frame, counted from where the sound begins
  double clip_time_ = 0;  // seconds from sample 0 to the clip's first frame, with audio_timestamps
};

}  // namespace vmz
