#include "core/pixels/opencv.h"

#include <cmath>
#include <opencv2/imgproc.hpp>
#include <opencv2/video/tracking.hpp>

namespace vmz {
namespace {

constexpr int kDis = 3;  // as in arguments.h, which speaks of std::string and stays out of here

const double kPyramidScale = std::sqrt(2.0) / 2;
constexpr int kLevels = 5, kWindow = 10, kIterations = 2, kPolyN = 7;
constexpr double kPolySigma = 1.5;

// OpenCV only reads what it takes as input.
cv::Mat view(const uint8_t* data, int width, int height, int type, size_t stride = cv::Mat::AUTO_STEP) {
  return {height, width, type, const_cast<uint8_t*>(data), stride};
}

// Each decoding thread has a video of its own: more threads inside would only be in each other's way.
const bool one_thread = (cv::setNumThreads(1), true);

}  // namespace

bool has_opencv() {
  return one_thread;
}

struct FlowEstimator::State {
  int size;
  cv::Ptr<cv::DenseOpticalFlow> dis;
};

FlowEstimator::FlowEstimator(int algorithm, int size) : state_(new State) {
  state_->size = size;
  if (algorithm == kDis) {
    state_->dis = cv::DISOpticalFlow::create();
  }
}

FlowEstimator::~FlowEstimator() = default;

void FlowEstimator::operator()(const uint8_t* first, const uint8_t* second, float* flow) {
  const int size = state_->size;
  const cv::Mat before = view(first, size, size, CV_8UC1), after = view(second, size, size, CV_8UC1);
  cv::Mat out(size, size, CV_32FC2, flow);
  if (state_->dis) {
    out.setTo(cv::Scalar::all(0));  // it would start from what it finds there
    state_->dis->calc(before, after, out);
  } else {
    cv::calcOpticalFlowFarneback(
        before, after, out, kPyramidScale, kLevels, kWindow, kIterations, kPolyN, kPolySigma,
        cv::OPTFLOW_FARNEBACK_GAUSSIAN);
  }
}

void rgb_to_gray(const uint8_t* rgb, int size, uint8_t* gray) {
  cv::Mat out(size, size, CV_8UC1, gray);
  cv::cvtColor(view(rgb, size, size, CV_8UC3), out, cv::COLOR_RGB2GRAY);
}

void resize_by_area(
    const uint8_t* rgb, ptrdiff_t stride, int width, int height, uint8_t* out, int out_width, int out_height) {
  cv::Mat to(out_height, out_width, CV_8UC3, out);
  cv::resize(view(rgb, width, height, CV_8UC3, static_cast<size_t>(stride)), to, to.size(), 0, 0, cv::INTER_AREA);
}

void jpeg_to_rgb(const JpegPlane planes[3], uint8_t* rgb) {
  const int width = planes[0].width, height = planes[0].height;
  cv::Mat full[3], merged, out(height, width, CV_8UC3, rgb);
  for (int i = 0; i < 3; ++i) {
    const JpegPlane& plane = planes[i];
    full[i] = view(plane.data, plane.width, plane.height, CV_8UC1, static_cast<size_t>(plane.stride));
    const int across = (width + plane.width - 1) / plane.width, down = (height + plane.height - 1) / plane.height;
    if (across > 1 || down > 1) {
      cv::Mat grown;
      cv::resize(full[i], grown, cv::Size(), across, down, cv::INTER_LINEAR);
      full[i] = grown(cv::Rect(0, 0, width, height));
    }
  }
  std::swap(full[1], full[2]);  // OpenCV's order is luma, red, blue
  cv::merge(full, 3, merged);
  cv::cvtColor(merged, out, cv::COLOR_YCrCb2RGB);
}

}  // namespace vmz
