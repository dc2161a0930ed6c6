#include "core/pixels/flow.h"

#include <cmath>
#include <map>

#include "check.h"

using namespace vmz;

namespace {

constexpr int kSize = 48;
constexpr int64_t kWidth = 64, kHeight = 56;

VideoInputArgs arguments() {
  VideoInputArgs args;
  args.batch_size = 1;
  args.get_rgb = 0;
  args.get_optical_flow = 1;
  args.length_of = 4;
  args.crop_size = kSize;
  args.scale_h = args.scale_w = 64;
  return args;
}

// Frame `time` of a smooth pattern that moves by (2, 1) pixels a frame.
std::vector<uint8_t> picture(int time) {
  std::vector<uint8_t> rgb;
  for (int64_t y = 0; y < kHeight; ++y) {
    for (int64_t x = 0; x < kWidth; ++x) {
      const double u = static_cast<double>(x - 2 * time), v = static_cast<double>(y - time);
      const double shade = std::sin(u / 5) + std::cos(v / 4) + std::sin((u + v) / 7);
      for (const double value : {128 + 40 * shade, 120 + 30 * shade, 90 - 20 * shade}) {
        rgb.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  return rgb;
}

std::vector<float> written(
    const VideoInputArgs& args, int frames, const std::vector<int64_t>& starts, const std::vector<Crop>& crops) {
  const int64_t planes = static_cast<int64_t>(starts.size()) * args.flow_channels() * args.length_of;
  std::vector<float> out(static_cast<size_t>(planes * kSize * kSize), NAN);
  FlowWriter writer(args, crops, starts, out.data());
  for (int frame = 0; frame < frames; ++frame) {
    if (writer.wants(frame)) {
      const std::vector<uint8_t> pixels = picture(frame);
      writer.add(frame, {pixels.data(), kWidth * 3});
    }
  }
  for (const float value : out) {
    CHECK(value == value);
  }
  return out;
}

// The mean of the inner part of a plane.
double inner_mean(const std::vector<float>& out, int64_t plane) {
  double sum = 0;
  for (int64_t y = 12; y < kSize - 12; ++y) {
    for (int64_t x = 12; x < kSize - 12; ++x) {
      sum += out[static_cast<size_t>((plane * kSize + y) * kSize + x)];
    }
  }
  return sum / ((kSize - 24) * (kSize - 24));
}

const Crop kCrop{{4, 8}, false};

}  // namespace

TEST(frame_pairs_follow_each_other_across_the_gap_or_span_it) {
  using Pairs = std::vector<std::pair<int64_t, int64_t>>;
  VideoInputArgs args = arguments();
  args.sampling_rate_of = 2;
  args.frame_gap_of = 3;
  CHECK((frame_pairs(args, 0) == Pairs{{0, 1}, {1, 2}, {2, 3}}));
  CHECK((frame_pairs(args, 2) == Pairs{{4, 5}, {5, 6}, {6, 7}}));
  args.do_flow_aggregation = 0;
  CHECK((frame_pairs(args, 2) == Pairs{{4, 7}}));
}

TEST(chained_flow_goes_on_from_the_nearest_pixel_inside_the_frame) {
  float dx[9] = {0, 0, 0, 1.6f, 0, 0, 0, 0, 9}, dy[9] = {0, 0, -5, 0, 0, 0, 0, 0, 0};
  float following[18];
  for (int i = 0; i < 9; ++i) {
    following[2 * i] = static_cast<float>(i);
    following[2 * i + 1] = static_cast<float>(100 + i);
  }
  chain(dx, dy, following, 3);
  CHECK_EQUAL(dx[3], 1.6f + 5);  // to the third of its row
  CHECK_EQUAL(dy[3], 105.0f);
  CHECK_EQUAL(dx[2], 2.0f);  // above the frame: stays in the first row
  CHECK_EQUAL(dy[2], -5.0f + 102);
  CHECK_EQUAL(dx[8], 9.0f + 8);  // right of it: stays in the last column
  CHECK_EQUAL(dy[8], 108.0f);
}

TEST(a_moving_pattern_has_its_motion) {
  if (!has_opencv()) {
    return;
  }
  for (const int algorithm : {kFarneback, kDis}) {
    VideoInputArgs args = arguments();
    args.flow_alg_type = algorithm;
    args.check();
    const std::vector<float> out = written(args, 5, {0}, {kCrop});
    for (int64_t place = 0; place < 4; ++place) {
      CHECK(std::abs(inner_mean(out, place) * 0.972347 + 0.0046635 - 2) < 0.15);
      CHECK(std::abs(inner_mean(out, 4 + place) * 0.755146 + 0.0046261 - 1) < 0.15);
    }
    const std::vector<float> mirrored = written(args, 5, {0}, {{{4, 8}, true}});
    CHECK(std::abs(inner_mean(mirrored, 0) * 0.972347 + 0.0046635 + 2) < 0.15);
  }
}

TEST(flow_data_types_add_channels) {
  if (!has_opencv()) {
    return;
  }
  VideoInputArgs args = arguments();
  args.frame_gap_of = 2;
  const std::vector<float> plain = written(args, 6, {0}, {kCrop});
  const size_t plane = static_cast<size_t>(kSize) * kSize, channel = 4 * plane;
  const std::vector<uint8_t> first = picture(1);  // of flow number 1
  const size_t pixel = (4 * kWidth + 8) * 3;      // its first
  for (const int type : {1, 2, 3}) {
    args.flow_data_type = type;
    CHECK_EQUAL(args.flow_channels(), type == 3 ? 5 : 3);
    const std::vector<float> out = written(args, 6, {0}, {kCrop});
    CHECK(std::equal(plain.begin(), plain.end(), out.begin()));
    const float third = out[2 * channel + plane];
    if (type == 1) {
      const float magnitude = std::abs(plain[plane]) + std::abs(plain[channel + plane]);
      CHECK(std::abs(third - (magnitude - 0.963986f) / 1.43588f) < 1e-5f);
    } else if (type == 2) {
      const double gray = 0.299 * first[pixel] + 0.587 * first[pixel + 1] + 0.114 * first[pixel + 2];
      CHECK(std::abs(third * 55.3691f + 102.976f - static_cast<float>(gray)) < 0.6f);
    } else {
      CHECK(std::abs(third * 58.1489f + 110.201f - first[pixel]) < 1e-3f);
      CHECK(std::abs(out[4 * channel + plane] * 55.3324f + 95.9966f - first[pixel + 2]) < 1e-3f);
    }
  }
}

TEST(overlapping_clips_and_crops_have_the_flow_that_they_have_alone) {
  if (!has_opencv()) {
    return;
  }
  for (const int aggregation : {0, 1}) {
    VideoInputArgs args = arguments();
    args.frame_gap_of = 3;
    args.sampling_rate_of = 2;
    args.do_flow_aggregation = aggregation;
    const std::vector<int64_t> starts = {0, 1, 5, 5};
    const std::vector<Crop> crops = {kCrop, {{0, 0}, true}, kCrop, {{8, 16}, false}};
    const std::vector<float> together = written(args, 16, starts, crops);
    const size_t row = together.size() / 4;
    for (size_t i = 0; i < 4; ++i) {
      const std::vector<float> alone = written(args, 16, {starts[i]}, {crops[i]});
      CHECK(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<ptrdiff_t>(i * row)));
    }
  }
}
