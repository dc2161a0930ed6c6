// The arguments of an operator that reads clips, VideoInput or AVInput, as a NetDef has them.
#pragma once

#include "caffe2/core/operator.h"
#include "core/arguments.h"

namespace vmz {

// Checked, with the numbers of blobs. Throws RequestError; the message begins with the operator's name.
VideoInputArgs operator_arguments(const caffe2::OperatorDef& def);

}  // namespace vmz
