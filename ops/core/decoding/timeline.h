// Which frame of a stream is shown when, from its packets alone: a frame number is found without decoding all before it.
//
// Seeking is only a way to save time. What cannot be certain from the packets has no times here, and is decoded from the
// start; what is sought is verified frame by frame (see Video::seek_to_frame).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/common/libav.h"

namespace vmz {

constexpr int64_t kNoFrame = -1;

// What the container says of one packet. `shown` is false where an edit list cuts its frame away, `whole` where
// something of it is known to be lost.
struct PacketTimes {
  int64_t pts, dts;  // AV_NOPTS_VALUE where the container states none
  bool key, shown, whole;
  int64_t size;
};

// The frames of a stream in the order in which they are shown.
class Timeline {
 public:
  // packets: all of the stream that hold data, as they lie in the file.
  Timeline(const std::vector<PacketTimes>& packets, AVCodecID codec, AVPixelFormat pixel_format);

  // How many packets show a frame: the number of frames, unless the packets are unusual.
  int64_t frames() const {
    return frames_;
  }
  // The timestamps of the frames, in increasing order; empty where the packets do not tell them for certain.
  const std::vector<int64_t>& times() const {
    return times_;
  }

  // Timestamps to seek for so that frame number `frame` is decoded, the best first; none: decode from the start.
  // Containers look for a pts or for a dts, so there is one of each, and then those of the key frame before.
  std::vector<int64_t> seek_points(int64_t frame) const;

  // Number of the frame of a packet that a seek for `frame` arrived at; kNoFrame where decoding cannot begin there.
  int64_t frame_at(int64_t pts, int64_t frame) const;

 private:
  int64_t frames_ = 0;
  std::vector<int64_t> times_;
  std::map<int64_t, int64_t> keys_;  // pts and dts (or AV_NOPTS_VALUE) of the packets that decoding can begin with
};

}  // namespace vmz
