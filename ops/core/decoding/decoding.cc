#include "core/decoding/decoding.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <vector>

#include "core/common/errors.h"
#include "core/decoding/containers.h"
#include "core/decoding/cut_off.h"

namespace vmz {
namespace {

template <class T>
T* allocated(T* object) {
  if (object == nullptr) {
    throw std::bad_alloc();
  }
  return object;
}

// A video that names other files (a playlist, say) must not make us open them.
int refuse_other_files(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

// Options of FFmpeg.
class Options {
 public:
  Options() = default;
  ~Options() {
    av_dict_free(&dictionary);
  }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  AVDictionary* dictionary = nullptr;
};

struct DecoderOptions : Options {
  DecoderOptions() {
    // Damaged headers, and files made to harm, state absurd sizes.
    av_dict_set_int(&dictionary, "max_pixels", kMaxPixels, 0);
    av_dict_set(&dictionary, "threads", "1", 0);  // a video each thread uses the processors better
  }
};

struct FormatOptions : Options {
  FormatOptions() {
    av_dict_set(&dictionary, "format_whitelist", kFormats, 0);
    av_dict_set(&dictionary, "protocol_whitelist", kNoProtocol, 0);
  }
};

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
  FormatOptions options;
  const int status = avformat_open_input(&format, nullptr, nullptr, &options.dictionary);  // frees it where it fails
  if (status < 0) {
    if (watch != nullptr && watch->is_over()) {
      throw BadRecord(watch->reason());
    }
    refuse(status == AVERROR(EINVAL) ? kOtherFormat : libav_reason(status));  // what it says of one that is not listed
  }
  Owned<AVFormatContext> opened(format);
  if (std::string(format->iformat->name).compare(0, 3, "mov") == 0 && pictures_lie_elsewhere(input)) {
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

AVStream* first_video_stream(const AVFormatContext* format) {
  bool has_cover = false;
  for (unsigned i = 0; i < format->nb_streams; ++i) {
    if (format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) {
      if (!(format->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC)) {
        return format->streams[i];
      }
      has_cover = true;  // a picture that belongs to the file, as music has one, not a stream of frames
    }
  }
  throw BadRecord(has_cover ? "the file has no video stream, only a cover picture" : "the file has no video stream");
}

// Throws for a picture of no size, or of more pixels than are read.
void check_size(int64_t width, int64_t height) {
  if (width <= 0 || height <= 0 || width > kMaxPixels / height) {
    throw BadRecord(
        "its video stream states no picture size, or more than the " + std::to_string(kMaxPixels) +
        " pixels (max_pixels) that are read");
  }
}

Owned<AVCodecContext> open_codec(const AVStream* stream) {
  const AVCodec* decoder = avcodec_find_decoder(stream->codecpar->codec_id);
  if (decoder == nullptr) {
    throw BadRecord("there is no decoder for its video stream");
  }
  check_size(stream->codecpar->width, stream->codecpar->height);  // before the decoder refuses it without a reason
  Owned<AVCodecContext> codec(allocated(avcodec_alloc_context3(decoder)));
  int status = avcodec_parameters_to_context(codec.get(), stream->codecpar);
  if (status >= 0) {
    codec->pkt_timebase = stream->time_base;
    if (decoder->id == AV_CODEC_ID_MJPEG) {
      codec->err_recognition |= AV_EF_EXPLODE;  // else a damaged picture has what the last one left in its memory
    }
    DecoderOptions options;
    status = avcodec_open2(codec.get(), decoder, &options.dictionary);
  }
  if (status < 0) {
    throw BadRecord("its video stream cannot be decoded (" + libav_reason(status) + ")");
  }
  check_size(codec->width, codec->height);
  return codec;
}

Watch* begun(Watch* watch) {
  if (watch != nullptr) {
    watch->begin();
  }
  return watch;
}

}  // namespace

Video::Video(const VideoSource& source, Watch* watch)
    : watch_(begun(watch)),
      input_(source.bytes != nullptr ? new Input(source.bytes, source.size, watch) : new Input(source.path, watch)),
      format_(open_format(*input_, watch)),
      frame_(allocated(av_frame_alloc())),
      packet_(allocated(av_packet_alloc())) {
  probe_streams(format_.get());
  watch_progress();
  stream_ = first_video_stream(format_.get());
  codec_ = open_codec(stream_);
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    format_->streams[i]->discard = format_->streams[i] == stream_ ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
}

int64_t Video::duration() const {
  return std::max<int64_t>(0, stream_->duration);  // AV_NOPTS_VALUE is negative
}

int64_t Video::frames() const {
  return std::max<int64_t>(0, stream_->nb_frames);
}

void Video::watch_progress() const {
  if (watch_ != nullptr && watch_->is_over()) {
    throw BadRecord(watch_->reason());
  }
}

bool Video::seek(int64_t timestamp) {
  frames_read_ = -1;
  if (av_seek_frame(format_.get(), stream_->index, timestamp, AVSEEK_FLAG_BACKWARD) < 0) {
    return false;
  }
  avcodec_flush_buffers(codec_.get());
  drained_ = has_packet_ = false;
  ended_by_.clear();
  return true;
}

Timeline Video::timeline() {
  std::vector<PacketTimes> packets;
  while (read_packet()) {
    packets.push_back(
        {packet_->pts, packet_->dts, (packet_->flags & AV_PKT_FLAG_KEY) != 0,
         (packet_->flags & AV_PKT_FLAG_DISCARD) == 0, (packet_->flags & AV_PKT_FLAG_CORRUPT) == 0, packet_->size});
    av_packet_unref(packet_.get());
    watch_progress();
  }
  watch_progress();
  return Timeline(packets, codec_->codec_id, codec_->pix_fmt);
}

bool Video::seek_to_frame(const Timeline& timeline, int64_t number) {
  for (const int64_t point : timeline.seek_points(number)) {
    if (!seek(point) || !read_packet()) {
      continue;
    }
    has_packet_ = true;
    const bool key = (packet_->flags & AV_PKT_FLAG_KEY) != 0;
    const int64_t found = key ? timeline.frame_at(packet_->pts, number) : kNoFrame;
    if (found != kNoFrame) {
      times_ = timeline.times();
      first_ = current_ = static_cast<size_t>(found);
      wanted_ = static_cast<size_t>(number);
      return true;
    }
    av_packet_unref(packet_.get());
    has_packet_ = false;
  }
  return false;
}

const AVFrame* Video::next() {
  for (;;) {
    const AVFrame* frame = astray_ ? nullptr : decode();
    if (frame == nullptr || times_.empty()) {
      return frame;
    }
    if (frame->pts != AV_NOPTS_VALUE && frame->pts < times_[first_]) {
      continue;  // shown before the key frame, which it follows in the file: it may lack what it refers to
    }
    const bool key = frame->pict_type == AV_PICTURE_TYPE_I || frame->pict_type == AV_PICTURE_TYPE_NONE;
    if (current_ == times_.size() || frame->pts != times_[current_] || (current_ == first_ && !key)) {
      astray_ = true;
      return nullptr;
    }
    if (current_++ >= wanted_) {
      return frame;
    }
  }
}

const AVFrame* Video::decode() {
  if (watch_ != nullptr) {
    watch_->advance();
  }
  for (;;) {
    const int status = avcodec_receive_frame(codec_.get(), frame_.get());
    watch_progress();
    if (status == 0) {
      if (!met_a_frame_) {
        orientation_ = orientation_of_frame(*frame_, *stream_);
        met_a_frame_ = true;
      }
      frames_read_ += frames_read_ >= 0;
      if (frame_->best_effort_timestamp != AV_NOPTS_VALUE) {
        last_time_ = last_time_ == AV_NOPTS_VALUE ? frame_->best_effort_timestamp
                                                  : std::max(last_time_, frame_->best_effort_timestamp);
      }
      return frame_.get();
    }
    if (status != AVERROR(EAGAIN)) {
      if (status != AVERROR_EOF) {
        ended_by_ = libav_reason(status);
      }
      return nullptr;
    }
    if (!feed()) {
      watch_progress();
      return nullptr;
    }
  }
}

Ending Video::ending() const {
  if (!ended_by_.empty()) {
    return {frames_read_, ended_by_};
  }
  if (is_cut_off(*input_) && lacks_frames()) {
    return {frames_read_, "the file is truncated"};
  }
  return {};
}

// Whether fewer frames came than are stated. MP4 may state more than it shows (edit lists), so time counts.
bool Video::lacks_frames() const {
  const bool fewer = frames_read_ < frames();
  if (frames() > 0 && std::string(format()).compare(0, 3, "mov") != 0) {
    return fewer;
  }
  const double base = av_q2d(stream_->time_base);
  const double rate = stream_->avg_frame_rate.den > 0 ? av_q2d(stream_->avg_frame_rate) : 0;
  const int64_t start = stream_->start_time == AV_NOPTS_VALUE ? 0 : stream_->start_time;
  const double last = last_time_ == AV_NOPTS_VALUE ? 0 : static_cast<double>(last_time_ - start) * base;
  double seconds = static_cast<double>(duration()) * base;
  if (seconds == 0 && format_->duration > 0) {
    seconds = static_cast<double>(format_->duration) / AV_TIME_BASE;
  }
  return rate > 0 && last + 1.5 / rate < seconds && (fewer || frames() == 0);
}

bool Video::feed() {
  if (drained_) {
    return false;
  }
  int status;
  if (has_packet_ || read_packet()) {
    has_packet_ = false;
    status = avcodec_send_packet(codec_.get(), packet_.get());
    av_packet_unref(packet_.get());
  } else if (drained_) {  // it cannot be read further
    return false;
  } else {
    drained_ = true;
    status = avcodec_send_packet(codec_.get(), nullptr);
  }
  if (status < 0) {
    ended_by_ = libav_reason(status);
    drained_ = true;
    return false;
  }
  return true;
}

bool Video::read_packet() {
  for (;;) {
    const int status = av_read_frame(format_.get(), packet_.get());
    if (status < 0) {
      if (status != AVERROR_EOF) {
        ended_by_ = libav_reason(status);
        drained_ = true;
      }
      return false;
    }
    if (packet_->stream_index == stream_->index && packet_->size > 0) {
      return true;
    }
    av_packet_unref(packet_.get());
  }
}

}  // namespace vmz
