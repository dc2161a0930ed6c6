// The clips of one video: which frames they take, decoded once, converted once and written straight to their places.
#pragma once

#include "core/arguments.h"
#include "core/common/random.h"
#include "core/decoding/decoding.h"

namespace vmz {

// What is to be known of a video that gave its clips.
struct Reading {
  Ending ended;      // how reading ended, if before the video's end; clips that lie before that say nothing of it
  std::string without_sound;  // why its log-mels are zeros, if its sound is missing
  int rotation = 0;           // degrees, counterclockwise, by which its metadata ask players to turn it
};

// Decodes a video, or with image_as_input an image, and writes its clips, normalised, to `out`: (clips * crops, 3,
// length_rgb, crop, crop) float32 values, and their optical flow to `flow`: (clips * crops, flow_channels, length_of,
// crop, crop), and the log-mels of their sound to `logmels`: (clips, logmel_frames, logmel_filters). What is not asked
// for may be null.
//
// `start_frame` is the record's, used with decode_type 2. Throws BadRecord with the reason when the video cannot be
// opened or is too short, MissingSound where it has no sound and on_missing_audio is not "zeros"; `out` then holds nothing of use. `watch` (may be null) ends it: where it
// is cancelled with any result, where it is over with BadRecord.
Reading read_clips(
    const VideoSource& source, int64_t start_frame, const VideoInputArgs& args, Random random, Watch* watch, float* out,
    float* flow = nullptr, float* logmels = nullptr);

}  // namespace vmz
