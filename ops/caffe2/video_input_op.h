// Caffe2's operators VideoInput and AVInput: the reader of ops/core behind Caffe2's interface.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "caffe2/core/tensor.h"
#include "caffe2/operator_arguments.h"
#include "caffe2/operators/prefetch_op.h"
#include "core/reader.h"

namespace vmz {

// A reader on the operator's DBReader.
std::unique_ptr<BatchReader> open_reader(const VideoInputArgs& args, const caffe2::Blob* db_reader);

// The outputs of one run in main memory, in the order of the operator's outputs. `position`: the reader's, after them.
std::vector<caffe2::Tensor> output_tensors(
    const VideoInputArgs& args, const std::vector<VideoClips>& videos, int64_t position);

// What is asked for of the reader's reports, in the order of the operator's last outputs, string tensors: skipped
// (records, 3), key, path (empty where the database holds the bytes) and reason; ended_early (videos, 4), key, path,
// frames read (empty where they were not counted) and reason; without_sound (videos, 3), key, path and reason.
std::vector<caffe2::Tensor> report_tensors(const VideoInputArgs& args, const BatchReader& reader);

// The shapes of full batches, for Caffe2's shape inference. A wrong operator is left for its constructor to refuse.
std::vector<caffe2::TensorShape> infer_shapes(const caffe2::OperatorDef& def, const std::vector<caffe2::TensorShape>&);

// Decodes a batch ahead of the net, in the thread of PrefetchOperator, and with CUDA copies it to the device there too.
//
// PrefetchOperator prints exceptions and swallows them. Here they are kept and thrown by the run that would have got
// the batch: RunNet raises, in Python RuntimeError with the message. Every later run of this operator raises the
// same: make the net anew to go on.
template <class Context>
class VideoInputOp final : public caffe2::PrefetchOperator<Context> {
 public:
  VideoInputOp(const caffe2::OperatorDef& def, caffe2::Workspace* workspace)
      : caffe2::PrefetchOperator<Context>(def, workspace),
        args_(operator_arguments(def)) {
    reader_ = open_reader(args_, &this->InputBlob(0));
  }

  ~VideoInputOp() override {
    this->Finalize();
  }

  bool Prefetch() override {
    try {
      const std::vector<VideoClips> videos = reader_->next();
      batch_ = output_tensors(args_, videos, reader_->position());
      if (!on_cpu()) {
        for (size_t i = 0; i < batch_.size(); ++i) {
          on_device_.resize(batch_.size());
          copy_to(device(), batch_[i], &on_device_[i]);
        }
      }
    } catch (...) {
      error_ = std::current_exception();
    }
    reports_ = report_tensors(args_, *reader_);
    return true;
  }

  bool CopyPrefetched() override {
    const int reports = static_cast<int>(reports_.size());
    for (int i = 0; i < reports; ++i) {  // tell of the record that is the error, too
      put_out(this->OutputSize() - reports + i, caffe2::CPU, reports_[static_cast<size_t>(i)]);
    }
    if (error_) {
      std::rethrow_exception(error_);
    }
    for (size_t i = 0; i < batch_.size(); ++i) {
      const int output = static_cast<int>(i);
      if (on_cpu()) {  // nobody else has the batch: hand it over, and its memory
        caffe2::BlobSetTensor(this->OutputBlob(output), std::move(batch_[i]));
      } else {
        put_out(output, device(), on_device_[i]);
      }
    }
    if (on_cpu()) {
      batch_.clear();
    }
    return true;
  }

 private:
  static constexpr bool on_cpu() {
    return std::is_same<Context, caffe2::CPUContext>::value;
  }

  at::Device device() const {
    return this->context_.device();
  }

  void copy_to(at::Device where, const caffe2::Tensor& from, caffe2::Tensor* to) {
    caffe2::ReinitializeTensor(to, from.sizes(), at::dtype(from.dtype()).device(where));
    to->CopyFrom(from, true);
  }

  void put_out(int output, at::Device where, const caffe2::Tensor& from) {
    this->OutputTensorCopyFrom(output, at::dtype(from.dtype()).device(where), from, true);
  }

  const VideoInputArgs args_;
  std::unique_ptr<BatchReader> reader_;
  std::vector<caffe2::Tensor> batch_, on_device_, reports_;
  std::exception_ptr error_;
};

}  // namespace vmz
