// Operators of the CPU that choose by comparing, and so pass over not-a-number: the wheel's own, and NaN in the outputs
// whose inputs hold it (an infinity where there is nothing else, and the wheel's gives a finite number). What gives no
// number but a decision (ArgMax, Sign, Accuracy) is left as it is.
#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "caffe2/core/operator.h"
#include "caffe2/wheels_operators.h"

namespace caffe2 {
namespace {

// Whether `value` is one that the wheel loses. sign 1, of a largest value: NaN and -inf; -1, of a smallest: NaN and inf;
// 0: NaN.
template <class T>
bool is_lost(T value, int sign) {
  return sign == 0 ? value != value : !(sign * value >= std::numeric_limits<T>::lowest());
}

template <class T>
bool has_lost(const T* values, int64_t size, int sign) {
  int found = 0;
#pragma omp parallel for schedule(static) reduction(| : found) if (size > 4096)
  for (int64_t i = 0; i < size; ++i) {
    found |= is_lost(values[i], sign);
  }
  return found != 0;
}

// Where, in a row-major tensor without the reduced axes, the value at `index` of one with these sizes goes.
int64_t without_axes(int64_t index, c10::IntArrayRef sizes, const std::set<int>& reduced) {
  int64_t place = 0, step = 1;
  for (int axis = sizes.size() - 1; axis >= 0; --axis) {
    if (reduced.count(axis) == 0) {
      place += index % sizes[axis] * step;
      step *= sizes[axis];
    }
    index /= sizes[axis];
  }
  return place;
}

class ComparingOp : public Operator<CPUContext> {
 public:
  ComparingOp(const OperatorDef& definition, Workspace* workspace, const vmz::Creator& wheels)
      : Operator<CPUContext>(definition, workspace),
        wheels_(wheels(definition, workspace)) {}

  bool RunOnDevice() override {
    nans_.clear();  // found before it runs: an output may be an input
    infinities_.clear();
    for (int number = 0; number < compared(); ++number) {
      const Tensor& input = Input(number);
      if (input.IsType<float>()) {
        find(input, input.data<float>());
      } else if (input.IsType<double>()) {
        find(input, input.data<double>());
      }
    }
    if (!wheels_->Run()) {
      return false;
    }
    if (!nans_.empty() || !infinities_.empty()) {
      Tensor* output = Output(0);
      output->IsType<float>() ? write<float>(output) : write<double>(output);
    }
    return true;
  }

 protected:
  virtual int compared() {
    return InputSize();
  }

  // 1 where the wheel makes the lowest number of nothing but -inf, -1 where the largest of nothing but inf.
  virtual int sign() {
    return 0;
  }

  // Where in the output the value at `index` of an input is compared; -1 for nowhere.
  virtual int64_t place(const Tensor& input, int64_t index) = 0;

 private:
  template <class T>
  void find(const Tensor& input, const T* values) {
    if (!has_lost(values, input.numel(), sign())) {
      return;
    }
    std::set<int64_t> others;  // places that have another value than the infinity
    for (int64_t index = 0; index < input.numel(); ++index) {
      const int64_t to = place(input, index);
      if (values[index] != values[index]) {
        nans_.insert(to);
      } else if (sign() != 0 && is_lost(values[index], sign())) {
        infinities_.insert(to);
      } else if (sign() != 0) {
        others.insert(to);
      }
    }
    for (const int64_t to : others) {
      infinities_.erase(to);
    }
  }

  template <class T>
  void write(Tensor* output) {
    T* values = output->mutable_data<T>();
    for (const int64_t place : infinities_) {
      values[place] = -sign() * std::numeric_limits<T>::infinity();
    }
    for (const int64_t place : nans_) {
      if (place >= 0 && place < output->numel()) {
        values[place] = std::numeric_limits<T>::quiet_NaN();
      }
    }
  }

  const std::unique_ptr<OperatorBase> wheels_;
  std::set<int64_t> nans_, infinities_;
};

// Max, Min, ThresholdedRelu: value by value.
class OfEachValueOp final : public ComparingOp {
 public:
  using ComparingOp::ComparingOp;

 protected:
  int64_t place(const Tensor& /*input*/, int64_t index) override {
    return index;
  }
};

// Operators that compare the values of their first input alone.
class OfFirstInputOp : public ComparingOp {
 public:
  using ComparingOp::ComparingOp;

 protected:
  int compared() override {
    return 1;
  }
};

// ReduceMax (1), ReduceMin (-1).
template <int largest>
class OfAxesOp final : public OfFirstInputOp {
 public:
  using OfFirstInputOp::OfFirstInputOp;

 protected:
  int sign() override {
    return largest;
  }

  int64_t place(const Tensor& input, int64_t index) override {
    std::set<int> reduced;
    for (const int axis : GetRepeatedArgument<int>("axes")) {
      reduced.insert(axis < 0 ? axis + input.dim() : axis);
    }
    return reduced.empty() ? 0 : without_axes(index, input.sizes(), reduced);
  }
};

// ReduceFrontMax, ReduceBackMax: of the matrix that the first or the last axes make; a second input says how many values
// of each count.
template <bool front>
class OfEndsOp final : public OfFirstInputOp {
 public:
  using OfFirstInputOp::OfFirstInputOp;

 protected:
  int64_t place(const Tensor& input, int64_t index) override {
    const int axes = GetSingleArgument<int>("num_reduce_dim", 1);
    if (axes < 0 || axes > input.dim()) {
      return -1;  // the wheel's refuses it
    }
    const int64_t columns = input.size_from_dim(front ? axes : input.dim() - axes);
    const int64_t row = index / columns, column = index % columns;
    const int64_t kept = front ? column : row, position = front ? row : column;
    const bool counts = InputSize() < 2 || (kept < Input(1).numel() && position < Input(1).data<int32_t>()[kept]);
    return counts ? kept : -1;
  }
};

// RowwiseMax, ColwiseMax of a batch of matrices.
template <int axis>
class OfMatricesOp final : public ComparingOp {
 public:
  using ComparingOp::ComparingOp;

 protected:
  int64_t place(const Tensor& input, int64_t index) override {
    return input.dim() == 3 ? without_axes(index, input.sizes(), {axis}) : -1;  // others are refused by the wheel's
  }
};

// TopK: the first value of a row is NaN where one of the row is, as it is in PyTorch.
class OfRowsOp final : public OfFirstInputOp {
 public:
  using OfFirstInputOp::OfFirstInputOp;

 protected:
  int64_t place(const Tensor& input, int64_t index) override {
    const int axes = input.dim(), given = GetSingleArgument<int>("axis", -1), axis = given < 0 ? given + axes : given;
    if (axis < 0 || axis >= axes) {
      return -1;  // the wheel's refuses it
    }
    const int64_t inner = input.size_from_dim(axis + 1), row = inner * input.dim(axis);
    int64_t k = GetSingleArgument<int>("k", -1);
    if (InputSize() > 1) {
      k = Input(1).IsType<int64_t>() ? *Input(1).data<int64_t>() : *Input(1).data<int32_t>();
    }
    return index / row * inner * k + index % inner;
  }
};

const vmz::InPlaceOfTheWheels<OfEachValueOp> max("Max");
const vmz::InPlaceOfTheWheels<OfEachValueOp> min("Min");
const vmz::InPlaceOfTheWheels<OfEachValueOp> thresholded_relu("ThresholdedRelu");
const vmz::InPlaceOfTheWheels<OfAxesOp<1>> reduce_max("ReduceMax");
const vmz::InPlaceOfTheWheels<OfAxesOp<-1>> reduce_min("ReduceMin");
const vmz::InPlaceOfTheWheels<OfEndsOp<true>> reduce_front_max("ReduceFrontMax");
const vmz::InPlaceOfTheWheels<OfEndsOp<false>> reduce_back_max("ReduceBackMax");
const vmz::InPlaceOfTheWheels<OfMatricesOp<2>> rowwise_max("RowwiseMax");
const vmz::InPlaceOfTheWheels<OfMatricesOp<1>> colwise_max("ColwiseMax");
const vmz::InPlaceOfTheWheels<OfRowsOp> top_k("TopK");

}  // namespace
}  // namespace caffe2
