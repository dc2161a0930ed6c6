#include "core/decoding/timeline.h"

#include <algorithm>
#include <limits>

namespace vmz {
namespace {

// A packet of MPEG-4 that is no larger says that nothing is coded: no frame is shown.
constexpr int64_t kNotCoded = 16;

bool are_certain(const std::vector<PacketTimes>& packets, AVCodecID codec, AVPixelFormat pixel_format) {
  // VP8 keeps its hidden reference frames in packets of their own.
  if (packets.empty() || codec == AV_CODEC_ID_VP7 || codec == AV_CODEC_ID_VP8) {
    return false;
  }
  // A palette comes with the first packet and is lost by seeking: the frames would be black.
  if (pixel_format == AV_PIX_FMT_PAL8) {
    return false;
  }
  std::vector<int64_t> shown_at;
  int64_t read_at = AV_NOPTS_VALUE;
  for (const PacketTimes& packet : packets) {
    if (packet.pts == AV_NOPTS_VALUE) {
      return false;
    }
    // Matroska has no dts. FFmpeg makes them of the pts, but for the first packets: it does not know the order yet.
    if (read_at != AV_NOPTS_VALUE && (packet.dts == AV_NOPTS_VALUE || packet.dts <= read_at)) {
      return false;
    }
    read_at = packet.dts;
    if (!packet.whole || (codec == AV_CODEC_ID_MPEG4 && packet.size <= kNotCoded)) {
      return false;
    }
    shown_at.push_back(packet.pts);
  }
  if (read_at == AV_NOPTS_VALUE) {
    return false;
  }
  std::sort(shown_at.begin(), shown_at.end());
  // Frames shown before the first key frame: decoders drop some of them.
  return std::adjacent_find(shown_at.begin(), shown_at.end()) == shown_at.end() && packets[0].key &&
      packets[0].pts == shown_at[0];
}

}  // namespace

Timeline::Timeline(const std::vector<PacketTimes>& packets, AVCodecID codec, AVPixelFormat pixel_format) {
  frames_ = std::count_if(packets.begin(), packets.end(), [](const PacketTimes& packet) { return packet.shown; });
  if (!are_certain(packets, codec, pixel_format)) {
    return;
  }
  int64_t latest = std::numeric_limits<int64_t>::min();
  for (const PacketTimes& packet : packets) {
    if (packet.shown) {
      times_.push_back(packet.pts);
    }
    // Nothing before it is shown after it: what is shown from it on needs nothing before it.
    if (packet.key && packet.shown && packet.pts > latest) {
      keys_[packet.pts] = packet.dts;
    }
    latest = std::max(latest, packet.pts);
  }
  std::sort(times_.begin(), times_.end());
}

std::vector<int64_t> Timeline::seek_points(int64_t frame) const {
  std::vector<int64_t> points;
  if (frame < 0 || frame >= static_cast<int64_t>(times_.size())) {
    return points;
  }
  auto key = keys_.upper_bound(times_[static_cast<size_t>(frame)]);
  for (int before = 0; before < 2 && key != keys_.begin(); ++before) {
    --key;
    for (const int64_t point : {key->first, key->second}) {
      if (point != AV_NOPTS_VALUE && std::find(points.begin(), points.end(), point) == points.end()) {
        points.push_back(point);
      }
    }
  }
  return points;
}

int64_t Timeline::frame_at(int64_t pts, int64_t frame) const {
  if (keys_.count(pts) == 0 || pts > times_[static_cast<size_t>(frame)]) {
    return kNoFrame;
  }
  return std::lower_bound(times_.begin(), times_.end(), pts) - times_.begin();
}

}  // namespace vmz
