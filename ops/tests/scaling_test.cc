#include "core/pixels/scaling.h"

#include <cmath>
#include <vector>

#include "check.h"
#include "core/common/errors.h"

using namespace vmz;

namespace {

// A frame of one format whose luma rises to the right and downwards.
Owned<AVFrame> ramp(AVPixelFormat format, int width, int height) {
  Owned<AVFrame> frame(av_frame_alloc());
  frame->format = format;
  frame->width = width;
  frame->height = height;
  CHECK_EQUAL(av_frame_get_buffer(frame.get(), 0), 0);
  for (int plane = 0; plane < 3 && frame->data[plane] != nullptr; ++plane) {
    const int rows = plane == 0 ? height : (height + 1) / 2, columns = plane == 0 ? width : (width + 1) / 2;
    for (int y = 0; y < rows; ++y) {
      for (int x = 0; x < columns; ++x) {
        frame->data[plane][y * frame->linesize[plane] + x] =
            static_cast<uint8_t>(plane == 0 ? 16 + (x + 2 * y) % 200 : 128);
      }
    }
  }
  return frame;
}

}  // namespace

TEST(every_column_of_an_unscaled_frame_is_converted) {
  for (int width = 33; width <= 98; ++width) {
    for (int height : {32, 33}) {
      const Owned<AVFrame> frame = ramp(AV_PIX_FMT_YUV420P, width, height);
      Scaler scaler({width, height});
      const Pixels pixels = scaler.convert(*frame);
      for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
          const double wanted = ((x + 2 * y) % 200) * 255.0 / 219.0;
          for (int channel = 0; channel < 3; ++channel) {
            const int found = pixels.data[y * pixels.stride + 3 * x + channel];
            if (std::fabs(found - wanted) > 4) {
              check::fail(
                  __FILE__, __LINE__,
                  std::to_string(width) + "x" + std::to_string(height) + " at " + std::to_string(x) + "," +
                      std::to_string(y) + ": " + std::to_string(found));
            }
          }
        }
      }
    }
  }
}

TEST(frames_may_change_on_the_way) {
  Scaler scaler({20, 10});
  scaler.convert(*ramp(AV_PIX_FMT_YUV420P, 64, 48));
  scaler.convert(*ramp(AV_PIX_FMT_GRAY8, 33, 17));
  const Pixels pixels = scaler.convert(*ramp(AV_PIX_FMT_YUV420P, 64, 48));
  CHECK(pixels.data != nullptr);
}

TEST(sizes_of_no_use_are_refused) {
  CHECK_THROWS(BadRecord, "0x5", Scaler({0, 5}));
  CHECK_THROWS(BadRecord, "100000x100000", Scaler({100000, 100000}));
  CHECK_THROWS(BadRecord, "1000000000x1000000000", Scaler({1000000000, 1000000000}));
}

TEST(normalised_values_are_the_originals_arithmetic) {
  const float mean[3] = {110.201f, 100.64f, 95.9966f}, deviation[3] = {58.1489f, 56.4701f, 55.3324f};
  std::vector<uint8_t> pixels(256 * 256 * 3);
  for (int y = 0; y < 256; ++y) {
    for (int x = 0; x < 256; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        pixels[static_cast<size_t>((y * 256 + x) * 3 + channel)] = static_cast<uint8_t>(x + y * 5 + channel * 7);
      }
    }
  }
  for (const bool mirror : {false, true}) {
    std::vector<float> out(3 * 100 * 100);
    normalise({pixels.data(), 256 * 3}, {{11, 23}, mirror}, 100, out.data(), 100 * 100);
    for (int channel = 0; channel < 3; ++channel) {
      for (int y = 0; y < 100; ++y) {
        for (int x = 0; x < 100; ++x) {
          const int column = 23 + (mirror ? 99 - x : x);
          const uint8_t value = pixels[static_cast<size_t>(((y + 11) * 256 + column) * 3 + channel)];
          const float scale = 1.0f / deviation[channel];
          const float difference = static_cast<float>(value) - mean[channel];
          CHECK_EQUAL(out[static_cast<size_t>((channel * 100 + y) * 100 + x)], difference * scale);
        }
      }
    }
  }
}
