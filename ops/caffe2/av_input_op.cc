// AVInput: VideoInput's operator for pictures, sound or both. Its outputs in their order: clips (get_rgb), log-mels
// (get_logmels), label, and what VideoInput has after them.
#include "caffe2/core/operator.h"
#include "caffe2/video_input_op.h"

namespace caffe2 {

using AVInputOpCPU = vmz::VideoInputOp<CPUContext>;

REGISTER_CPU_OPERATOR(AVInput, AVInputOpCPU);

OPERATOR_SCHEMA(AVInput)
    .NumInputs(1)
    .NumOutputs(1, 10)
    .TensorInferenceFunction(vmz::infer_shapes)
    .SetDoc("Reads a batch of clips and the log-mels of their sound from a database. See ops/README.md of VMZ.");

NO_GRADIENT(AVInput);

}  // namespace caffe2
