// MaxPool of the CPU: the wheel's own, a part of the planes in each of OpenMP's threads. The wheel's passes over
// not-a-number, and gives the lowest finite number for a window of -inf: what has overflowed would look like any other
// value. Where the input has either, those windows are computed here. Finite values are the wheel's to the bit.
#define CAFFE2_OPERATORS_UTILS_EIGEN_H_
#include <omp.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>
#include <vector>

#include "caffe2/core/operator.h"
#include "caffe2/core/workspace.h"
#include "caffe2/operators/conv_pool_op_base.h"
#include "caffe2/wheels_operators.h"

namespace caffe2 {
namespace {

constexpr int64_t kWorthAThread = 4096;  // values

bool has_nan_or_lowest(const float* values, int64_t size) {
  int found = 0;
  for (int64_t i = 0; i < size; ++i) {
    found |= !(values[i] >= std::numeric_limits<float>::lowest());
  }
  return found != 0;
}

// The wheel's operator on a part of the batch, in a workspace of its own.
class Part {
 public:
  Part(const OperatorDef& definition, const vmz::Creator& wheels)
      : input_(workspace_.CreateBlob(definition.input(0))),
        output_(workspace_.CreateBlob(definition.output(0))),
        wheels_(wheels(definition, &workspace_)) {}

  void run(const float* from, const std::vector<int64_t>& from_sizes, float* to, const std::vector<int64_t>& to_sizes) {
    share(input_, const_cast<float*>(from), from_sizes);
    Tensor* output = share(output_, to, to_sizes);
    CAFFE_ENFORCE(wheels_->Run());
    CAFFE_ENFORCE(output->data<float>() == to, "The wheel's MaxPool has an output of another size.");
  }

 private:
  static Tensor* share(Blob* blob, float* values, const std::vector<int64_t>& sizes) {
    Tensor* tensor = BlobGetMutableTensor(blob, CPU);
    tensor->Resize(sizes);
    tensor->ShareExternalPointer(values, tensor->numel() * sizeof(float));
    return tensor;
  }

  Workspace workspace_;
  Blob *input_, *output_;
  const std::unique_ptr<OperatorBase> wheels_;
};

class MaxPoolInThreadsOp final : public ConvPoolOpBase<CPUContext> {
 public:
  USE_CONV_POOL_BASE_FUNCTIONS(CPUContext);

  MaxPoolInThreadsOp(const OperatorDef& definition, Workspace* workspace, const vmz::Creator& wheels)
      : ConvPoolOpBase<CPUContext>(definition, workspace),
        definition_(definition),
        create_(wheels),
        wheels_(wheels(definition, workspace)) {}

  bool RunOnDeviceWithOrderNCHW() override {
    return pool(true);
  }

  bool RunOnDeviceWithOrderNHWC() override {
    return pool(false);
  }

 private:
  // Parts of the batch: planes of one channel, or clips where the channels are the last axis.
  bool pool(bool channels_first) {
    const Tensor& input = Input(0);
    if (input.dim() < 3 || !input.IsType<float>() || input.numel() == 0) {
      return wheels_->Run();  // or its error
    }
    const int channels = input.dim32(channels_first ? 1 : input.dim() - 1);
    Tensor* output = Output(0);
    if (output == &input) {
      return wheels_->Run();
    }
    SetOutputSize(input, output, channels);
    if (output->numel() == 0) {
      return wheels_->Run();
    }
    const float* from = input.data<float>();
    float* to = output->mutable_data<float>();
    const int64_t units = input.dim(0) * (channels_first ? channels : 1);
    const int64_t from_size = input.numel() / units, to_size = output->numel() / units;
    const std::vector<int> from_sizes = GetDims(input), to_sizes = GetDims(*output);
    const int threads = input.numel() > kWorthAThread ? std::min<int64_t>(omp_get_max_threads(), units) : 1;
    while (static_cast<int>(parts_.size()) < threads) {
      parts_.emplace_back(new Part(definition_, create_));
    }
    std::vector<std::exception_ptr> errors(threads);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int part = 0; part < threads; ++part) {
      const int64_t begin = units * part / threads, count = units * (part + 1) / threads - begin;
      const float* x = from + begin * from_size;
      float* y = to + begin * to_size;
      try {
        parts_[part]->run(
            x, batch(count, channels, from_sizes, channels_first), y, batch(count, channels, to_sizes, channels_first));
        for (int64_t unit = 0; unit < count; ++unit, x += from_size, y += to_size) {
          if (has_nan_or_lowest(x, from_size)) {
            for (int channel = 0; channel < (channels_first ? 1 : channels); ++channel) {
              mend(x + channel, y + channel, from_sizes, to_sizes, channels_first ? 1 : channels);
            }
          }
        }
      } catch (...) {
        errors[part] = std::current_exception();
      }
    }
    for (const std::exception_ptr& error : errors) {
      if (error) {
        std::rethrow_exception(error);
      }
    }
    return true;
  }

  static std::vector<int64_t> batch(int64_t units, int channels, const std::vector<int>& sizes, bool channels_first) {
    std::vector<int64_t> found = channels_first ? std::vector<int64_t>{1, units} : std::vector<int64_t>{units};
    found.insert(found.end(), sizes.begin(), sizes.end());
    if (!channels_first) {
      found.push_back(channels);
    }
    return found;
  }

  // One channel's windows that hold NaN, or nothing but -inf. step: from one of its values to the next.
  void mend(const float* from, float* to, const std::vector<int>& sizes, const std::vector<int>& outputs, int step) {
    const int axes = sizes.size();
    std::vector<int> at(axes, 0);
    do {
      bool empty = false;
      std::vector<int> begin(axes, 0), end(sizes);
      for (int axis = 0; axis < axes && !global_pooling_; ++axis) {
        const int first = at[axis] * stride_[axis] - pads_[axis];
        begin[axis] = std::max(first, 0);
        end[axis] = std::min(first + kernel_[axis], sizes[axis]);
        empty = empty || begin[axis] >= end[axis];
      }
      if (!empty) {
        bool finite = false, nan = false;
        std::vector<int> inside(begin);
        do {
          int64_t place = 0;
          for (int axis = 0; axis < axes; ++axis) {
            place = place * sizes[axis] + inside[axis];
          }
          const float value = from[place * step];
          nan = nan || value != value;
          finite = finite || value >= std::numeric_limits<float>::lowest();
        } while (next(&inside, begin, end));
        if (nan) {
          *to = std::numeric_limits<float>::quiet_NaN();
        } else if (!finite) {
          *to = -std::numeric_limits<float>::infinity();
        }
      }
      to += step;
    } while (next(&at, std::vector<int>(axes, 0), outputs));
  }

  // The next place in a box, the last axis first; false after the last one.
  static bool next(std::vector<int>* at, const std::vector<int>& begin, const std::vector<int>& end) {
    for (int axis = at->size() - 1; axis >= 0; --axis) {
      if (++(*at)[axis] < end[axis]) {
        return true;
      }
      (*at)[axis] = begin[axis];
    }
    return false;
  }

  const OperatorDef definition_;
  const vmz::Creator create_;
  const std::unique_ptr<OperatorBase> wheels_;
  std::vector<std::unique_ptr<Part>> parts_;
};

const vmz::InPlaceOfTheWheels<MaxPoolInThreadsOp> max_pool("MaxPool");
const vmz::InPlaceOfTheWheels<MaxPoolInThreadsOp> max_pool_1d("MaxPool1D");
const vmz::InPlaceOfTheWheels<MaxPoolInThreadsOp> max_pool_2d("MaxPool2D");
const vmz::InPlaceOfTheWheels<MaxPoolInThreadsOp> max_pool_3d("MaxPool3D");

}  // namespace
}  // namespace caffe2
