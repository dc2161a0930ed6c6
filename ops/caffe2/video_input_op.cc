#include "caffe2/video_input_op.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "caffe2/core/operator.h"
#include "caffe2/db_source.h"
#include "core/common/errors.h"
#include "core/common/libav.h"

namespace vmz {
namespace {

caffe2::Tensor new_tensor(std::vector<int64_t> sizes, caffe2::TypeMeta type) {
  caffe2::Tensor tensor(sizes, caffe2::CPU);
  tensor.raw_mutable_data(type);
  return tensor;
}

// A tensor on memory of the reader, which it holds on to.
caffe2::Tensor tensor_on(std::shared_ptr<float> data, const std::vector<int64_t>& sizes) {
  caffe2::Tensor tensor(sizes, caffe2::CPU);
  float* values = data.get();
  auto* owner = new std::shared_ptr<float>(std::move(data));
  const auto release = [](void* held) { delete static_cast<std::shared_ptr<float>*>(held); };
  tensor.ShareExternalPointer(
      at::DataPtr(values, owner, release, at::Device(caffe2::CPU)), caffe2::TypeMeta::Make<float>(),
      static_cast<size_t>(tensor.numel()) * sizeof(float));
  return tensor;
}

// The clips of one kind, of these sizes all together.
caffe2::Tensor clips_tensor(const std::vector<VideoClips>& videos, ClipsOf kind, const std::vector<int64_t>& sizes) {
  int64_t values = 1;
  for (const int64_t size : sizes) {
    values *= size;
  }
  const int64_t video_values = values / static_cast<int64_t>(videos.size());
  if (std::shared_ptr<float> data = in_place(videos, kind, video_values)) {
    return tensor_on(std::move(data), sizes);
  }
  caffe2::Tensor tensor = new_tensor(sizes, caffe2::TypeMeta::Make<float>());
  copy_clips(videos, kind, video_values, tensor.mutable_data<float>());
  return tensor;
}

std::vector<int64_t> rgb_sizes(const VideoInputArgs& args, int64_t rows) {
  return {rows, 3, args.length_rgb, args.crop_size, args.crop_size};
}

std::vector<int64_t> logmel_sizes(const VideoInputArgs& args, int64_t rows) {
  return {rows, 1, args.audio.logmel_frames, args.audio.logmel_filters};
}

std::vector<int64_t> flow_sizes(const VideoInputArgs& args, int64_t rows) {
  return {rows, args.flow_channels(), args.length_of, args.crop_size, args.crop_size};
}

// FFmpeg tells stderr of every macroblock that it cannot decode; what matters of that is in our errors.
[[gnu::unused]] const bool quiet = (av_log_set_level(AV_LOG_QUIET), true);

}  // namespace

std::unique_ptr<BatchReader> open_reader(const VideoInputArgs& args, const caffe2::Blob* db_reader) {
  return std::unique_ptr<BatchReader>(new BatchReader(args, make_db_source(db_reader, args)));
}

std::vector<caffe2::Tensor> output_tensors(
    const VideoInputArgs& args, const std::vector<VideoClips>& videos, int64_t position) {
  const auto count = static_cast<int64_t>(videos.size());
  const int64_t rows = count * args.rows();
  std::vector<caffe2::Tensor> outputs;
  if (args.get_rgb) {
    outputs.push_back(clips_tensor(videos, &VideoClips::data, rgb_sizes(args, rows)));
  }
  if (args.get_optical_flow) {
    outputs.push_back(clips_tensor(videos, &VideoClips::flow, flow_sizes(args, rows)));
  }
  if (args.audio.get_logmels) {
    outputs.push_back(clips_tensor(videos, &VideoClips::logmels, logmel_sizes(args, rows)));
  }
  outputs.push_back(new_tensor(
      args.do_multi_label ? std::vector<int64_t>{rows, args.num_of_class} : std::vector<int64_t>{rows},
      caffe2::TypeMeta::Make<int32_t>()));
  copy_labels(videos, args, outputs.back().mutable_data<int32_t>());
  if (args.get_video_id) {
    outputs.push_back(new_tensor({rows}, caffe2::TypeMeta::Make<int64_t>()));
    auto* ids = outputs.back().mutable_data<int64_t>();
    for (const VideoClips& video : videos) {
      ids = std::fill_n(ids, args.rows(), video.video_id);
    }
  }
  if (args.get_start_frame) {
    outputs.push_back(new_tensor({rows}, caffe2::TypeMeta::Make<int32_t>()));
    auto* starts = outputs.back().mutable_data<int32_t>();
    for (const VideoClips& video : videos) {
      starts = std::fill_n(starts, args.rows(), video.start_frame);
    }
  }
  if (args.get_record_index) {
    outputs.push_back(new_tensor({count}, caffe2::TypeMeta::Make<int64_t>()));
    auto* indices = outputs.back().mutable_data<int64_t>();
    for (const VideoClips& video : videos) {
      *indices++ = video.index;
    }
  }
  if (args.get_position) {
    outputs.push_back(new_tensor({1}, caffe2::TypeMeta::Make<int64_t>()));
    *outputs.back().mutable_data<int64_t>() = position;
  }
  return outputs;
}

caffe2::Tensor text_tensor(const std::vector<std::vector<std::string>>& rows, int64_t columns) {
  caffe2::Tensor tensor =
      new_tensor({static_cast<int64_t>(rows.size()), columns}, caffe2::TypeMeta::Make<std::string>());
  auto* text = tensor.mutable_data<std::string>();
  for (const std::vector<std::string>& row : rows) {
    text = std::copy(row.begin(), row.end(), text);
  }
  return tensor;
}

std::vector<caffe2::Tensor> report_tensors(const VideoInputArgs& args, const BatchReader& reader) {
  std::vector<caffe2::Tensor> reports;
  std::vector<std::vector<std::string>> rows;
  if (args.get_skipped) {
    for (const BadVideo& video : reader.skipped()) {
      rows.push_back({video.key, video.path, video.reason});
    }
    reports.push_back(text_tensor(rows, 3));
  }
  rows.clear();
  if (args.get_ended_early) {
    for (const EndedEarly& video : reader.ended_early()) {
      rows.push_back({video.key, video.path, video.frames < 0 ? "" : std::to_string(video.frames), video.reason});
    }
    reports.push_back(text_tensor(rows, 4));
  }
  rows.clear();
  if (args.audio.get_without_sound) {
    for (const WithoutSound& video : reader.without_sound()) {
      rows.push_back({video.key, video.path, video.reason});
    }
    reports.push_back(text_tensor(rows, 3));
  }
  return reports;
}

std::vector<caffe2::TensorShape> infer_shapes(const caffe2::OperatorDef& def, const std::vector<caffe2::TensorShape>&) {
  const VideoInputArgs args = operator_arguments(def);
  const int64_t rows = args.batch_size * args.rows();
  std::vector<caffe2::TensorShape> shapes;
  const auto add = [&shapes](std::vector<int64_t> sizes, caffe2::TensorProto_DataType type) {
    shapes.push_back(caffe2::CreateTensorShape(std::move(sizes), type));
  };
  if (args.get_rgb) {
    add(rgb_sizes(args, rows), caffe2::TensorProto_DataType_FLOAT);
  }
  if (args.get_optical_flow) {
    add(flow_sizes(args, rows), caffe2::TensorProto_DataType_FLOAT);
  }
  if (args.audio.get_logmels) {
    add(logmel_sizes(args, rows), caffe2::TensorProto_DataType_FLOAT);
  }
  add(args.do_multi_label ? std::vector<int64_t>{rows, args.num_of_class} : std::vector<int64_t>{rows},
      caffe2::TensorProto_DataType_INT32);
  if (args.get_video_id) {
    add({rows}, caffe2::TensorProto_DataType_INT64);
  }
  if (args.get_start_frame) {
    add({rows}, caffe2::TensorProto_DataType_INT32);
  }
  if (args.get_record_index) {
    add({args.batch_size}, caffe2::TensorProto_DataType_INT64);
  }
  if (args.get_position) {
    add({1}, caffe2::TensorProto_DataType_INT64);
  }
  for (const int64_t columns :
       {args.get_skipped ? 3 : 0, args.get_ended_early ? 4 : 0, args.audio.get_without_sound ? 3 : 0}) {
    if (columns) {
      add({0, columns}, caffe2::TensorProto_DataType_STRING);
      shapes.back().set_unknown_shape(true);
    }
  }
  return shapes;
}

}  // namespace vmz

namespace caffe2 {

using VideoInputOpCPU = vmz::VideoInputOp<CPUContext>;

REGISTER_CPU_OPERATOR(VideoInput, VideoInputOpCPU);

OPERATOR_SCHEMA(VideoInput)
    .NumInputs(1)
    .NumOutputs(1, 9)
    .TensorInferenceFunction(vmz::infer_shapes)
    .SetDoc("Reads a batch of clips from a database of videos. See ops/README.md of VMZ.");

NO_GRADIENT(VideoInput);

}  // namespace caffe2
