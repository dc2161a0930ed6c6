// What OpenCV does for us, behind plain pointers: its library has the new ABI of std::string, all of ours the old one,
// and a build without OpenCV gives RGB clips of videos all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace vmz {

// Whether this build has OpenCV. Without it everything below throws std::logic_error.
bool has_opencv();

// Dense optical flow between gray images of size x size bytes. One thread at a time.
class FlowEstimator {
 public:
  // flow_alg_type: kFarneback with the original's settings, or kDis.
  FlowEstimator(int algorithm, int size);
  ~FlowEstimator();

  // Writes size x size pairs dx, dy, in pixels.
  void operator()(const uint8_t* first, const uint8_t* second, float* flow);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// Gray levels of size x size RGB24 pixels without gaps.
void rgb_to_gray(const uint8_t* rgb, int size, uint8_t* gray);

// An image in RGB24, rows `stride` bytes apart, resized by area (interpolated where it grows) to RGB24 without gaps.
void resize_by_area(
    const uint8_t* rgb, ptrdiff_t stride, int width, int height, uint8_t* out, int out_width, int out_height);

// The planes of a decoded JPEG: luma and, one after the other, blue and red, each of its own size.
struct JpegPlane {
  const uint8_t* data;
  ptrdiff_t stride;
  int width, height;
};

// RGB24 without gaps, of the size of planes[0]. Interpolates the colours as libjpeg does, within a level or two.
void jpeg_to_rgb(const JpegPlane planes[3], uint8_t* rgb);

}  // namespace vmz
