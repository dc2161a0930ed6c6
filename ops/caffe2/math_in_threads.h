// What Caffe2's convolution does with one thread and need not: the functions of caffe2::math that copy its input into the
// matrix that is multiplied, and back. The same numbers to the bit, with all of OpenMP's threads. Of the order NHWC, and
// of two axes (Im2Col), it stays Caffe2's own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "caffe2/core/context.h"
#include "caffe2/core/types.h"
#include "caffe2/utils/math.h"

namespace vmz {

// The last axis of one row of the matrix: where its values lie in a row of the image.
struct Span {
  int first;  // position in the image's row of the output at 0, may lie outside
  int step;
  int begin, end;  // the outputs whose values lie inside
};

inline Span span_of(int inputs, int outputs, int step, int first) {
  Span span = {first, step, 0, 0};
  span.begin = first < 0 ? std::min(outputs, (-first + step - 1) / step) : 0;
  span.end = first < inputs ? std::min(outputs, (inputs - first + step - 1) / step) : 0;
  span.end = std::max(span.end, span.begin);
  return span;
}

// An n-dimensional convolution's matrix: (channels * kernel values) rows, one column an output.
class ColumnMatrix {
 public:
  // The arrays are those of math::Im2ColNd. image: channels, of which the matrix may have a group's only, and sizes.
  // columns: rows and sizes.
  ColumnMatrix(
      int axes, const int* image, const int* columns, const int* kernel, const int* stride, const int* dilation,
      const int* pad)
      : axes_(axes),
        image_(image + 1, image + 1 + axes),
        outputs_(columns + 1, columns + 1 + axes),
        kernel_(kernel, kernel + axes),
        stride_(stride, stride + axes),
        dilation_(dilation, dilation + axes),
        pad_(pad, pad + axes) {
    for (int axis = 0; axis < axes; ++axis) {
      kernel_values_ *= kernel[axis];
      channel_values_ *= image_[axis];
      outer_ *= axis + 1 < axes ? outputs_[axis] : 1;
    }
    channels_ = columns[0] / kernel_values_;
  }

  int channels() const {
    return channels_;
  }

  int kernel_values() const {
    return kernel_values_;
  }

  int64_t channel_values() const {
    return channel_values_;
  }

  // use(values of the matrix, row of the image or null where it lies in the padding, span) for rows of the last axis.
  template <class Values, class Image, class Use>
  void each_row(int channel, int kernel_value, Values* matrix, Image* image, const Use& use) const {
    std::vector<int> offset(axes_), at(axes_, 0);
    for (int axis = axes_ - 1, rest = kernel_value; axis >= 0; rest /= kernel_[axis], --axis) {
      offset[axis] = rest % kernel_[axis] * dilation_[axis] - pad_[axis];
    }
    const int last = axes_ - 1, width = outputs_[last];
    const Span span = span_of(image_[last], width, stride_[last], offset[last]);
    Values* values = matrix + (static_cast<int64_t>(channel) * kernel_values_ + kernel_value) * outer_ * width;
    Image* plane = image + channel * channel_values_;
    for (int64_t row = 0; row < outer_; ++row, values += width) {
      int64_t place = 0;
      bool inside = true;
      for (int axis = 0; axis < last; ++axis) {
        const int position = at[axis] * stride_[axis] + offset[axis];
        inside = inside && position >= 0 && position < image_[axis];
        place = place * image_[axis] + position;
      }
      use(values, inside ? plane + place * image_[last] : nullptr, span);
      for (int axis = last - 1; axis >= 0 && ++at[axis] == outputs_[axis]; --axis) {
        at[axis] = 0;
      }
    }
  }

  int width() const {
    return outputs_[axes_ - 1];
  }

 private:
  const int axes_;
  const std::vector<int> image_, outputs_, kernel_, stride_, dilation_, pad_;
  int channels_ = 0, kernel_values_ = 1;
  int64_t channel_values_ = 1, outer_ = 1;
};

}  // namespace vmz

namespace caffe2 {
namespace math {

template <typename T, class Context, StorageOrder kOrder>
void Im2ColNdInThreads(
    int axes, int image_size, int matrix_size, const int* image_shape, const int* matrix_shape, const int* kernel,
    const int* stride, const int* dilation, const int* pad, const T* image, T* matrix, Context* context,
    int groups = 1) {
  if (kOrder != StorageOrder::NCHW) {
    Im2ColNd<T, Context, kOrder>(
        axes, image_size, matrix_size, image_shape, matrix_shape, kernel, stride, dilation, pad, image, matrix, context,
        groups);
    return;
  }
  const vmz::ColumnMatrix columns(axes, image_shape, matrix_shape, kernel, stride, dilation, pad);
  const int rows = columns.channels() * columns.kernel_values(), width = columns.width();
#pragma omp parallel for schedule(static)
  for (int row = 0; row < rows; ++row) {
    columns.each_row(
        row / columns.kernel_values(), row % columns.kernel_values(), matrix, image,
        [width](T* values, const T* source, const vmz::Span& span) {
          if (source == nullptr) {
            std::fill(values, values + width, T(0));
            return;
          }
          std::fill(values, values + span.begin, T(0));
          if (span.step == 1) {
            std::memcpy(values + span.begin, source + span.first + span.begin, (span.end - span.begin) * sizeof(T));
          } else {
            for (int x = span.begin; x < span.end; ++x) {
              values[x] = source[span.first + x * span.step];
            }
          }
          std::fill(values + span.end, values + width, T(0));
        });
  }
}

// A channel's sums have one thread, and are taken in the order of the kernel's values, as Caffe2 takes them.
template <typename T, class Context, StorageOrder kOrder>
void Col2ImNdInThreads(
    int axes, int image_size, int matrix_size, const int* image_shape, const int* matrix_shape, const int* kernel,
    const int* stride, const int* dilation, const int* pad, const T* matrix, T* image, Context* context,
    int groups = 1) {
  if (kOrder != StorageOrder::NCHW) {
    Col2ImNd<T, Context, kOrder>(
        axes, image_size, matrix_size, image_shape, matrix_shape, kernel, stride, dilation, pad, matrix, image, context,
        groups);
    return;
  }
  const vmz::ColumnMatrix columns(axes, image_shape, matrix_shape, kernel, stride, dilation, pad);
#pragma omp parallel for schedule(static)
  for (int channel = 0; channel < columns.channels(); ++channel) {
    T* plane = image + channel * columns.channel_values();
    std::fill(plane, plane + columns.channel_values(), T(0));
    for (int value = 0; value < columns.kernel_values(); ++value) {
      columns.each_row(channel, value, matrix, image, [](const T* values, T* target, const vmz::Span& span) {
        if (target != nullptr) {
          for (int x = span.begin; x < span.end; ++x) {
            target[span.first + x * span.step] += values[x];
          }
        }
      });
    }
  }
}

}  // namespace math
}  // namespace caffe2
