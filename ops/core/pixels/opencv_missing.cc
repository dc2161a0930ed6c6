// In place of opencv.cc where OpenCV is not installed.
#include <stdexcept>

#include "core/pixels/opencv.h"

namespace vmz {
namespace {

[[noreturn]] void missing() {
  throw std::logic_error("this library was built without OpenCV");
}

}  // namespace

bool has_opencv() {
  return false;
}

struct FlowEstimator::State {};

FlowEstimator::FlowEstimator(int, int) {
  missing();
}

FlowEstimator::~FlowEstimator() = default;

void FlowEstimator::operator()(const uint8_t*, const uint8_t*, float*) {
  missing();
}

void rgb_to_gray(const uint8_t*, int, uint8_t*) {
  missing();
}

void resize_by_area(const uint8_t*, ptrdiff_t, int, int, uint8_t*, int, int) {
  missing();
}

void jpeg_to_rgb(const JpegPlane*, uint8_t*) {
  missing();
}

}  // namespace vmz
