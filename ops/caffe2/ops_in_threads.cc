// What Caffe2 does with one thread, done in all of OpenMP's, and registered before the wheel's. Conv and its gradient are
// the wheel's own templates, compiled here a second time over the functions of math_in_threads.h: the matrix product, and
// with it every number, stays the wheel's.
#define CAFFE2_OPERATORS_UTILS_EIGEN_H_  // conv_op_impl.h includes eigen_utils.h and needs nothing of it
#include "caffe2/core/operator.h"
#include "caffe2/operators/conv_op_shared.h"
#include "caffe2/operators/conv_pool_op_base.h"
#include "caffe2/math_in_threads.h"

#define Im2ColNd Im2ColNdInThreads
#define Col2ImNd Col2ImNdInThreads
#define ConvOp ConvInThreadsOp
#define ConvGradientOp ConvGradientInThreadsOp
#include "caffe2/operators/conv_op.h"
#include "caffe2/operators/conv_op_impl.h"

namespace caffe2 {
namespace {

class ReluInThreadsOp final : public Operator<CPUContext> {
 public:
  ReluInThreadsOp(const OperatorDef& definition, Workspace* workspace) : Operator<CPUContext>(definition, workspace) {}

  bool RunOnDevice() override {
    const auto& input = Input(0);
    const float* from = input.data<float>();
    const int64_t size = input.numel();
    float* to = Output(0, input.sizes(), at::dtype<float>())->mutable_data<float>();
#pragma omp parallel for schedule(static) if (size > 4096)
    for (int64_t i = 0; i < size; ++i) {
      to[i] = from[i] < 0 ? 0 : from[i];  // NaN and -0 pass, as they do in the wheel's
    }
    return true;
  }
};

template <class Op>
struct Preferred {
  explicit Preferred(const char* name)
      : registered(
            name, c10::REGISTRY_PREFERRED, CPUOperatorRegistry(), RegistererCPUOperatorRegistry::DefaultCreator<Op>) {}

  RegistererCPUOperatorRegistry registered;
};

const Preferred<ConvInThreadsOp<float, CPUContext>> conv("Conv");
const Preferred<ConvGradientInThreadsOp<float, CPUContext>> conv_gradient("ConvGradient");
const Preferred<ReluInThreadsOp> relu("Relu");

}  // namespace
}  // namespace caffe2
