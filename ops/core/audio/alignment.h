// Which log-mels belong to a clip: the rows of a video stretched, cut and copied as the original does.
#pragma once

#include <cstdint>

#include "core/arguments.h"
#include "core/audio/log_mel.h"

namespace vmz {

// What alignment goes by.
struct Aligned {
  int64_t frames = 0;  // that the container states of the video; 0: no alignment
  int64_t needed = 0;  // frames of a clip, from its first to its last
  int64_t first = 0;   // the clip's first frame, counted from where the sound begins; several uniform clips: 0
};

// Writes the log-mels of all clips of a video: (clips, logmel_frames, logmel_filters) float32 values. Where there are
// too few rows, the rest of a clip is zeros.
void write_log_mels(const LogMels& rows, const VideoInputArgs& args, const Aligned& aligned, float* out);

}  // namespace vmz
