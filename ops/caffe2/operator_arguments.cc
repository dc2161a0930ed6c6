#include "caffe2/operator_arguments.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/common/errors.h"

namespace vmz {
namespace {

// What programs give every operator, or gave the original operators, without its ever reading them.
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
      {args.get_rgb, "data"},
      {args.get_optical_flow, "flow"},
      {args.audio.get_logmels, "logmels"},
      {1, "label"},
      {args.get_video_id, "video_id"},
      {args.get_start_frame, "start_frame"},
      {args.get_record_index, "record_index"},
      {args.get_position, "position"},
      {args.get_skipped, "skipped"},
      {args.get_ended_early, "ended_early"},
      {args.audio.get_without_sound, "without_sound"}};
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

}  // namespace

VideoInputArgs operator_arguments(const caffe2::OperatorDef& def) {
  try {
    VideoInputArgs args;
    ArgumentReader reader(def);
    args.is_av_input = def.type() == "AVInput";
    if (args.is_av_input) {
      args.get_rgb = 0;  // its default
      for_each_audio_argument(args.audio, reader);
    }
    for_each_argument(args, reader);
    reader.check_all_known();
    args.check();
    check_blobs(def, args);
    return args;
  } catch (const RequestError& error) {
    throw RequestError(def.type() + ": " + error.what());
  }
}

}  // namespace vmz
