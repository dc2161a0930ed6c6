#include "core/decoding/opened.h"

#include <vector>

#include "core/common/errors.h"
#include "core/decoding/containers.h"

namespace vmz {
namespace {

// Whether it is an MP4 or MOV, whose tracks can be those of other files.
bool has_references(const AVFormatContext* format) {
  return std::string(format->iformat->name).compare(0, 3, "mov") == 0;
}

// A video that names other files (a playlist, say) must not make us open them.
int refuse_other_files(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

Watch* begun(Watch* watch) {
  if (watch != nullptr) {
    watch->begin();
  }
  return watch;
}

[[noreturn]] void refuse(const std::string& why) {
  throw BadRecord("not a video that can be opened (" + why + ")");
}

// A plain container with its pictures in it.
Owned<AVFormatContext> open_format(const Input& input, Watch* watch) {
  const std::string why = refusal(input);
  if (!why.empty()) {
    refuse(why);
  }
  AVFormatContext* format = allocated(avformat_alloc_context());
  format->pb = input.io();
  format->flags |= AVFMT_FLAG_CUSTOM_IO;
  format->io_open = refuse_other_files;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "format_whitelist", kFormats, 0);
  av_dict_set(&options, "protocol_whitelist", kNoProtocol, 0);
  const int status = avformat_open_input(&format, nullptr, nullptr, &options);  // frees it where it fails
  av_dict_free(&options);
  if (status < 0) {
    if (watch != nullptr && watch->is_over()) {
      throw BadRecord(watch->reason());
    }
    refuse(status == AVERROR(EINVAL) ? kOtherFormat : libav_reason(status));  // what it says of one that is not listed
  }
  Owned<AVFormatContext> opened(format);
  if (has_references(format) && lies_elsewhere(input, kPictures)) {
    refuse(kElsewhere);
  }
  return opened;
}

void probe_streams(AVFormatContext* format) {
  std::vector<DecoderOptions> options(format->nb_streams);
  std::vector<AVDictionary*> dictionaries;
  for (DecoderOptions& one : options) {
    dictionaries.push_back(one.dictionary);
  }
  const int status = avformat_find_stream_info(format, dictionaries.empty() ? nullptr : dictionaries.data());
  for (size_t i = 0; i < options.size(); ++i) {
    options[i].dictionary = dictionaries[i];
  }
  if (status < 0) {
    refuse(libav_reason(status));
  }
}

AVStream* first_stream(const AVFormatContext* format, AVMediaType type) {
  for (unsigned i = 0; i < format->nb_streams; ++i) {
    AVStream* stream = format->streams[i];
    if (stream->codecpar->codec_type == type && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC)) {
      return stream;
    }
  }
  return nullptr;
}

}  // namespace

DecoderOptions::DecoderOptions() {
  // Damaged headers, and files made to harm, state absurd sizes.
  av_dict_set_int(&dictionary, "max_pixels", kMaxPixels, 0);
  av_dict_set(&dictionary, "threads", "1", 0);  // a video each thread uses the processors better
}

OpenedFile::OpenedFile(const VideoSource& source, Watch* watch)
    : watch_(begun(watch)),
      input_(source.bytes != nullptr ? new Input(source.bytes, source.size, watch) : new Input(source.path, watch)),
      format_(open_format(*input_, watch)) {
  probe_streams(format_.get());
  watch_progress();
}

void OpenedFile::watch_progress() const {
  if (watch_ != nullptr && watch_->is_over()) {
    throw BadRecord(watch_->reason());
  }
}

AVStream* OpenedFile::video() const {
  return first_stream(format_.get(), AVMEDIA_TYPE_VIDEO);
}

AVStream* OpenedFile::sound() const {
  return first_stream(format_.get(), AVMEDIA_TYPE_AUDIO);
}

bool OpenedFile::sound_lies_elsewhere() const {
  return has_references(format_.get()) && lies_elsewhere(*input_, kSound);
}

void OpenedFile::read_only(const AVStream* stream) {
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    format_->streams[i]->discard = format_->streams[i] == stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
}

void OpenedFile::read_too(AVStream* stream) {
  stream->discard = AVDISCARD_DEFAULT;
}

}  // namespace vmz
