#include "caffe2/video_input_op.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "caffe2/core/operator.h"
#include "caffe2/db_source.h"
#include "core/common/errors.h"
#include "core/common/libav.h"

namespace vmz {
namespace {

// What programs give every operator, or gave the original VideoInput, without its ever reading them.
const std::set<std::string>& ignored_arguments() {
  static const std::set<std::string> names = {"input_type",  "get_logmels",    "name",
                                              "order",       "use_cudnn",      "cudnn_exhaustive_search",
                                              "no_prefetch", "ws_nbytes_limit"};
  return names;
}

// Reads arguments one by one, by name.
class ArgumentReader {
 public:
  explicit ArgumentReader(const caffe2::OperatorDef& def) {
    for (int i = 0; i < def.arg_size(); ++i) {
      arguments_[def.arg(i).name()] = &def.arg(i);
    }
  }

  void operator()(const char* name, int& field) {
    int64_t value = field;
    (*this)(name, value);
    if (value != static_cast<int>(value)) {
      throw RequestError(std::string(name) + "=" + std::to_string(value) + " is too large");
    }
    field = static_cast<int>(value);
  }

  void operator()(const char* name, int64_t& field) {
    if (const caffe2::Argument* argument = take(name)) {
      if (argument->has_i()) {
        field = argument->i();
      } else if (argument->has_f() && argument->f() == static_cast<float>(static_cast<int64_t>(argument->f()))) {
        field = static_cast<int64_t>(argument->f());
      } else {
        throw RequestError(std::string(name) + " must be an integer");
      }
    }
  }

  void operator()(const char* name, std::string& field) {
    if (const caffe2::Argument* argument = take(name)) {
      if (!argument->has_s()) {
        throw RequestError(std::string(name) + " must be a string");
      }
      field = argument->s();
    }
  }

  void operator()(const char* name, std::vector<int>& field) {
    if (const caffe2::Argument* argument = take(name)) {
      if (argument->has_i() || argument->has_f() || argument->has_s() || argument->floats_size() > 0) {
        throw RequestError(std::string(name) + " must be a list of integers");
      }
      field.clear();
      for (int i = 0; i < argument->ints_size(); ++i) {
        const int64_t value = argument->ints(i);
        if (value != static_cast<int>(value)) {
          throw RequestError(std::string(name) + " contains " + std::to_string(value) + ", which is too large");
        }
        field.push_back(static_cast<int>(value));
      }
    }
  }

  // Throws RequestError when an argument was given that nobody asked for.
  void check_all_known() const {
    for (const auto& argument : arguments_) {
      if (ignored_arguments().count(argument.first) == 0) {
        std::string known;
        for (const std::string& name : known_) {
          known += (known.empty() ? "" : ", ") + name;
        }
        throw RequestError("there is no argument \"" + argument.first + "\"; it has " + known);
      }
    }
  }

 private:
  const caffe2::Argument* take(const char* name) {
    known_.insert(name);
    const auto found = arguments_.find(name);
    if (found == arguments_.end()) {
      return nullptr;
    }
    const caffe2::Argument* argument = found->second;
    arguments_.erase(found);
    return argument;
  }

  std::map<std::string, const caffe2::Argument*> arguments_;
  std::set<std::string> known_;
};

std::vector<std::string> output_names(const VideoInputArgs& args) {
  std::vector<std::string> names;
  const std::pair<int, const char*> optional[] = {
      {args.get_rgb, "data"},          {args.get_optical_flow, "flow"},       {1, "label"},
      {args.get_video_id, "video_id"}, {args.get_start_frame, "start_frame"}, {args.get_record_index, "record_index"},
      {args.get_position, "position"}, {args.get_skipped, "skipped"},         {args.get_ended_early, "ended_early"}};
  for (const auto& output : optional) {
    if (output.first) {
      names.emplace_back(output.second);
    }
  }
  return names;
}

void check_blobs(const caffe2::OperatorDef& def, const VideoInputArgs& args) {
  if (def.input_size() != 1) {
    throw RequestError("it needs one input, the blob of a DBReader (made by CreateDB)");
  }
  const std::vector<std::string> names = output_names(args);
  if (static_cast<size_t>(def.output_size()) != names.size()) {
    std::string wanted;
    for (const std::string& name : names) {
      wanted += (wanted.empty() ? "" : ", ") + name;
    }
    throw RequestError(
        "with these arguments it has " + std::to_string(names.size()) + " outputs (" + wanted + "), not " +
        std::to_string(def.output_size()));
  }
}

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

std::vector<int64_t> flow_sizes(const VideoInputArgs& args, int64_t rows) {
  return {rows, args.flow_channels(), args.length_of, args.crop_size, args.crop_size};
}

// FFmpeg tells stderr of every macroblock that it cannot decode; what matters of that is in our errors.
[[gnu::unused]] const bool quiet = (av_log_set_level(AV_LOG_QUIET), true);

}  // namespace

VideoInputArgs operator_arguments(const caffe2::OperatorDef& def) {
  try {
    VideoInputArgs args;
    ArgumentReader reader(def);
    for_each_argument(args, reader);
    reader.check_all_known();
    args.check();
    check_blobs(def, args);
    return args;
  } catch (const RequestError& error) {
    throw RequestError(std::string("VideoInput: ") + error.what());
  }
}

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

caffe2::Tensor skipped_tensor(const std::vector<BadVideo>& skipped) {
  caffe2::Tensor tensor = new_tensor({static_cast<int64_t>(skipped.size()), 3}, caffe2::TypeMeta::Make<std::string>());
  auto* text = tensor.mutable_data<std::string>();
  for (const BadVideo& video : skipped) {
    *text++ = video.key;
    *text++ = video.path;
    *text++ = video.reason;
  }
  return tensor;
}

caffe2::Tensor ended_early_tensor(const std::vector<EndedEarly>& ended) {
  caffe2::Tensor tensor = new_tensor({static_cast<int64_t>(ended.size()), 4}, caffe2::TypeMeta::Make<std::string>());
  auto* text = tensor.mutable_data<std::string>();
  for (const EndedEarly& video : ended) {
    *text++ = video.key;
    *text++ = video.path;
    *text++ = video.frames < 0 ? "" : std::to_string(video.frames);
    *text++ = video.reason;
  }
  return tensor;
}

namespace {

// The shapes of full batches, for Caffe2's shape inference. A wrong operator is left for its constructor to refuse.
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
  for (const int64_t columns : {args.get_skipped ? 3 : 0, args.get_ended_early ? 4 : 0}) {
    if (columns) {
      add({0, columns}, caffe2::TensorProto_DataType_STRING);
      shapes.back().set_unknown_shape(true);
    }
  }
  return shapes;
}

}  // namespace
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
