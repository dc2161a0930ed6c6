#include "core/record_check.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/common/errors.h"
#include "core/common/text.h"

namespace vmz {
namespace {

constexpr size_t kMaxPathBytes = 4096;

// One line of text with a folder or a file extension in it: no video begins like this.
bool reads_as_path(const std::string& video) {
  const char* blank = " \t\n\r\f\v";
  const size_t begin = video.find_first_not_of(blank);
  if (begin == std::string::npos) {
    return false;
  }
  const std::string text = video.substr(begin, video.find_last_not_of(blank) + 1 - begin);
  if (text[0] == '<' || text[0] == '{' || text[0] == '[') {
    return false;
  }
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 32 || byte == 127) {
      return false;
    }
  }
  if (text.find('/') != std::string::npos) {
    return true;
  }
  const size_t dot = text.rfind('.');
  const size_t after = dot == std::string::npos ? 0 : text.size() - dot - 1;
  return after >= 1 && after <= 5 &&
      std::all_of(text.begin() + static_cast<ptrdiff_t>(dot) + 1, text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
         });
}

}  // namespace

void check_record(const Record& record, const VideoInputArgs& args) {
  if (args.do_multi_label) {
    std::string labels;
    bool fit = true;
    for (const int32_t label : record.labels) {
      labels += (labels.empty() ? "" : ", ") + std::to_string(label);
      fit = fit && label >= 0 && label < args.num_of_class;
    }
    if (!fit) {
      throw RequestError(
          "has the labels " + labels + ", but num_of_class=" + std::to_string(args.num_of_class) + " allows 0 to " +
          std::to_string(args.num_of_class - 1) + "; set the number of classes that the database was made for");
    }
  }
  if (args.decode_type == kFromStartFrame && !record.has_start_frame) {
    throw RequestError("has no start frame, which decode_type=2 needs; create it with --use_start_frame=1");
  }
  if (args.get_video_id && !record.has_video_id) {
    throw RequestError("has no video id, which get_video_id=1 needs; create it with --use_video_id=1");
  }
}

bool could_be_path(const Record& record) {
  return record.video_size <= kMaxPathBytes && std::memchr(record.video, 0, record.video_size) == nullptr;
}

VideoSource source_of(const Record& record, const VideoInputArgs& args) {
  VideoSource source;
  const bool path = could_be_path(record);
  if (args.use_local_file) {
    if (!path) {
      throw BadRecord("it contains the bytes of a video, not a path; give --use_local_file=0");
    }
    source.path.assign(record.video, record.video_size);
    return source;
  }
  if (path) {
    const std::string text(record.video, record.video_size);
    if (reads_as_path(text)) {
      throw BadRecord(
          "it contains a path, " + shown_path(text) + ", not the bytes of a video; give --use_local_file=1");
    }
  }
  source.bytes = record.video;
  source.size = record.video_size;
  return source;
}

}  // namespace vmz
