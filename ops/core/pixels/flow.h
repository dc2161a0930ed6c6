// Optical flow of clips, as the original computes it: between cropped gray frames, chained across gaps.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/pixels/opencv.h"
#include "core/pixels/scaling.h"

namespace vmz {

// The pairs of frames whose flows, one chained to the other, are the clip's flow number `place`. Frames count from the
// clip's start.
std::vector<std::pair<int64_t, int64_t>> frame_pairs(const VideoInputArgs& args, int64_t place);

// Extends flow across a gap, planes dx and dy of size x size in pixels, by the `following` one, pairs of dx and dy: each
// vector goes on with that of the pixel nearest to its end. Ends outside the frame count as on its border.
void chain(float* dx, float* dy, const float* following, int64_t size);

// The flow of clips whose frames come one after the other, each pair of frames computed once a crop.
class FlowWriter {
 public:
  // `crops` and `starts` tell of each row of `out` what it shows and at which frame its clip begins. `out`: float32
  // (rows, flow_channels, length_of, crop, crop). Channels by flow_data_type: dx, dy, and behind them nothing, the
  // magnitude, the first frame in gray, or its R, G, B.
  FlowWriter(
      const VideoInputArgs& args, const std::vector<Crop>& crops, const std::vector<int64_t>& starts, float* out);

  // Whether a flow is computed from, or to, the frame of this number.
  bool wants(int64_t frame) const {
    return frames_.count(frame) > 0;
  }

  // Takes the next wanted frame and writes what it completes.
  void add(int64_t frame, const Pixels& pixels);

 private:
  struct Link {  // the part that a pair of frames has in the flow at `place` of a row
    int64_t row, place;
    bool is_first, is_last;
  };
  struct Wanted {  // of one frame
    std::map<size_t, std::vector<Link>> links_to;           // by crop: those of the pair that ends with it
    std::vector<std::pair<int64_t, int64_t>> is_first_of;  // (row, place)
  };

  void add_link(const Link& link);
  void write_picture(int64_t row, int64_t place, const Pixels& pixels, const uint8_t* gray);
  float* plane(int64_t row, int64_t channel, int64_t place) const;
  void normalise_plane(float* plane, int channel) const;

  const VideoInputArgs& args_;
  const int64_t span_;  // frames from the first to the second of a pair
  FlowEstimator estimate_;
  std::vector<Crop> crops_;           // all that differ
  std::vector<size_t> crop_of_row_;  // which of them
  std::unordered_map<int64_t, Wanted> frames_;
  std::map<std::pair<int64_t, size_t>, std::vector<uint8_t>> grays_;  // by frame and crop, as far as still needed
  std::vector<float> flow_;                                           // of one pair: dx, dy, dx, dy, ...
  float* const out_;
};

}  // namespace vmz
