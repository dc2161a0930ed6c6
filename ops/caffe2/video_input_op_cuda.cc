// VideoInput and AVInput for CUDA: the batch is decoded and copied to the device in the prefetching thread, while the net runs.
#include "caffe2/core/macros.h"

// The members that cuDNN adds to Caffe2's classes come last, and nothing here touches them: so its header is not
// needed.
#undef CAFFE2_USE_CUDNN
#include "caffe2/core/context_gpu.h"
#include "caffe2/video_input_op.h"

namespace caffe2 {

using VideoInputOpCUDA = vmz::VideoInputOp<CUDAContext>;

REGISTER_CUDA_OPERATOR(VideoInput, VideoInputOpCUDA);
REGISTER_CUDA_OPERATOR(AVInput, VideoInputOpCUDA);

}  // namespace caffe2
