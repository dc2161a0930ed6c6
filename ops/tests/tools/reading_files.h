// Reads files with the core alone, each with several arguments: for valgrind, sanitizers and timing.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/clips.h"
#include "core/common/errors.h"

namespace vmz {

// What became of the readings.
struct Readings {
  int whole = 0, silent = 0, refused = 0;  // silent: with zeros for their sound
};

// Prints why one gives nothing. Ends the program where a log-mel is no number, or was not written.
inline void read_file(const char* path, const VideoInputArgs& args, Readings* readings) {
  args.check();
  std::vector<float> clips(static_cast<size_t>(args.video_values()));
  std::vector<float> flow(static_cast<size_t>(args.flow_video_values()));
  std::vector<float> logmels(static_cast<size_t>(args.logmel_video_values()), NAN);
  VideoSource source;
  source.path = path;
  try {
    const Reading reading = read_clips(source, 5, args, {1, 0, 1}, nullptr, clips.data(), flow.data(), logmels.data());
    ++(reading.without_sound.empty() ? readings->whole : readings->silent);
  } catch (const BadRecord& error) {
    ++readings->refused;
    std::printf("%s: %s\n", path, error.what());
    return;
  }
  for (const float value : logmels) {
    if (!std::isfinite(value)) {
      std::printf("%s: %g among the log-mels\n", path, static_cast<double>(value));
      std::exit(1);
    }
  }
}

// of_file: the arguments with which the file of a number, from 1, is read, one after the other.
inline Readings read_files(
    int count, char** paths, const std::function<std::vector<VideoInputArgs>(int number)>& of_file) {
  av_log_set_level(AV_LOG_FATAL);
  Readings readings;
  for (int i = 1; i < count; ++i) {
    for (const VideoInputArgs& args : of_file(i)) {
      read_file(paths[i], args, &readings);
    }
  }
  return readings;
}

}  // namespace vmz
