// Caffe2's own Conv and its gradient, with what they do in one thread done in all: the wheel's templates are compiled
// here a second time, over the functions of math_in_threads.h, and registered before the wheel's. The matrix product,
// and with it every number, stays the wheel's.
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

template <class Op>
struct Preferred {
  explicit Preferred(const char* name)
      : registered(
            name, c10::REGISTRY_PREFERRED, CPUOperatorRegistry(), RegistererCPUOperatorRegistry::DefaultCreator<Op>) {}

  RegistererCPUOperatorRegistry registered;
};

const Preferred<ConvInThreadsOp<float, CPUContext>> conv("Conv");
const Preferred<ConvGradientInThreadsOp<float, CPUContext>> conv_gradient("ConvGradient");

}  // namespace
}  // namespace caffe2
