#include "core/pixels/flow.h"

#include <algorithm>
#include <cmath>

namespace vmz {
namespace {

// Of dx, dy, their magnitude (of the normalised two), and gray levels.
constexpr float kMean[4] = {0.0046635f, 0.0046261f, 0.963986f, 102.976f};
constexpr float kStd[4] = {0.972347f, 0.755146f, 1.43588f, 55.3691f};

enum DataType { kMagnitude = 1, kGray = 2, kRgb = 3 };

int64_t nearest(int64_t from, float by, int64_t size) {
  const float end = std::nearbyint(static_cast<float>(from) + by);
  return static_cast<int64_t>(std::max(0.0f, std::min(end, static_cast<float>(size - 1))));
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> frame_pairs(const VideoInputArgs& args, int64_t place) {
  const int64_t first = place * args.sampling_rate_of, gap = args.frame_gap_of;
  if (!args.do_flow_aggregation) {
    return {{first, first + gap}};
  }
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t frame = first; frame < first + gap; ++frame) {
    pairs.emplace_back(frame, frame + 1);
  }
  return pairs;
}

void chain(float* dx, float* dy, const float* following, int64_t size) {
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x, ++dx, ++dy) {
      const float* next = following + 2 * (nearest(y, *dy, size) * size + nearest(x, *dx, size));
      *dx += next[0];
      *dy += next[1];
    }
  }
}

FlowWriter::FlowWriter(
    const VideoInputArgs& args, const std::vector<Crop>& crops, const std::vector<int64_t>& starts, float* out)
    : args_(args),
      span_(args.do_flow_aggregation ? 1 : args.frame_gap_of),
      estimate_(args.flow_alg_type, args.crop_size),
      flow_(static_cast<size_t>(2 * args.crop_size) * static_cast<size_t>(args.crop_size)),
      out_(out) {
  for (size_t row = 0; row < crops.size(); ++row) {
    const size_t crop = static_cast<size_t>(std::find(crops_.begin(), crops_.end(), crops[row]) - crops_.begin());
    if (crop == crops_.size()) {
      crops_.push_back(crops[row]);
    }
    crop_of_row_.push_back(crop);
    for (int64_t place = 0; place < args.length_of; ++place) {
      const auto pairs = frame_pairs(args, place);
      frames_[starts[row] + pairs.front().first].is_first_of.emplace_back(row, place);
      for (const auto& pair : pairs) {
        frames_[starts[row] + pair.first].links_to[crop];
        frames_[starts[row] + pair.second].links_to[crop].push_back(
            {static_cast<int64_t>(row), place, pair == pairs.front(), pair == pairs.back()});
      }
    }
  }
}

void FlowWriter::add(int64_t frame, const Pixels& pixels) {
  const Wanted& wanted = frames_.at(frame);
  const auto size = static_cast<size_t>(args_.crop_size);
  std::vector<uint8_t> square(size * size * 3);
  for (const auto& entry : wanted.links_to) {
    const size_t crop = entry.first;
    std::vector<uint8_t>& gray = grays_[{frame, crop}];
    gray.resize(size * size);
    cut_out(pixels, crops_[crop], args_.crop_size, square.data());
    rgb_to_gray(square.data(), args_.crop_size, gray.data());
    if (!entry.second.empty()) {
      estimate_(grays_.at({frame - span_, crop}).data(), gray.data(), flow_.data());
      for (const Link& link : entry.second) {
        add_link(link);
      }
    }
  }
  for (const auto& shown : wanted.is_first_of) {
    const size_t crop = crop_of_row_[static_cast<size_t>(shown.first)];
    write_picture(shown.first, shown.second, pixels, grays_.at({frame, crop}).data());
  }
  grays_.erase(grays_.begin(), grays_.upper_bound({frame - span_, crops_.size()}));
}

float* FlowWriter::plane(int64_t row, int64_t channel, int64_t place) const {
  const int64_t planes = (row * args_.flow_channels() + channel) * args_.length_of + place;
  return out_ + planes * args_.crop_size * args_.crop_size;
}

void FlowWriter::normalise_plane(float* values, int channel) const {
  const float scale = 1.0f / kStd[channel];
  for (int64_t i = 0; i < int64_t{args_.crop_size} * args_.crop_size; ++i) {
    values[i] = (values[i] - kMean[channel]) * scale;
  }
}

void FlowWriter::add_link(const Link& link) {
  const int64_t size = args_.crop_size;
  float* dx = plane(link.row, 0, link.place);
  float* dy = plane(link.row, 1, link.place);
  if (link.is_first) {
    for (int64_t i = 0; i < size * size; ++i) {
      dx[i] = flow_[static_cast<size_t>(2 * i)];
      dy[i] = flow_[static_cast<size_t>(2 * i + 1)];
    }
  } else {
    chain(dx, dy, flow_.data(), size);
  }
  if (!link.is_last) {
    return;
  }
  normalise_plane(dx, 0);
  normalise_plane(dy, 1);
  if (args_.flow_data_type == kMagnitude) {
    float* magnitude = plane(link.row, 2, link.place);
    for (int64_t i = 0; i < size * size; ++i) {
      magnitude[i] = std::abs(dx[i]) + std::abs(dy[i]);
    }
    normalise_plane(magnitude, 2);
  }
}

void FlowWriter::write_picture(int64_t row, int64_t place, const Pixels& pixels, const uint8_t* gray) {
  const int64_t values = int64_t{args_.crop_size} * args_.crop_size;
  float* third = plane(row, 2, place);
  if (args_.flow_data_type == kGray) {
    std::copy(gray, gray + values, third);
    normalise_plane(third, 3);
  } else if (args_.flow_data_type == kRgb) {
    const Crop& crop = crops_[crop_of_row_[static_cast<size_t>(row)]];
    normalise(pixels, crop, args_.crop_size, third, args_.length_of * values);
  }
}

}  // namespace vmz
