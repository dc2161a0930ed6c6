#include "core/decoding/decoding.h"

#include <algorithm>
#include <utility>

#include "core/common/errors.h"
#include "core/decoding/cut_off.h"

namespace vmz {
namespace {

AVStream* first_video_stream(const OpenedFile& file) {
  if (AVStream* stream = file.video()) {
    return stream;
  }
  // A cover belongs to the file, as music has one: a picture, not a stream of frames.
  for (unsigned i = 0; i < file.format()->nb_streams; ++i) {
    if (file.format()->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) {
      throw BadRecord("the file has no video stream, only a cover picture");
    }
  }
  throw BadRecord("the file has no video stream");
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

bool is_damaged(const AVFrame& frame) {
  return frame.decode_error_flags != 0 || (frame.flags & AV_FRAME_FLAG_CORRUPT) != 0;
}

}  // namespace

Video::Video(const VideoSource& source, Watch* watch)
    : watch_(watch),
      file_(source, watch),
      format_(file_.format()),
      frame_(allocated(av_frame_alloc())),
      packet_(allocated(av_packet_alloc())),
      stream_(first_video_stream(file_)),
      codec_(open_codec(stream_)) {
  file_.read_only(stream_);
}

int64_t Video::duration() const {
  return std::max<int64_t>(0, stream_->duration);  // AV_NOPTS_VALUE is negative
}

int64_t Video::frames() const {
  return std::max<int64_t>(0, stream_->nb_frames);
}

void Video::hear(AVStream* stream, Take take) {
  heard_ = stream;
  take_ = std::move(take);
  file_.read_too(stream);
}

int64_t Video::peek_time() {
  has_packet_ = has_packet_ || read_packet();
  return has_packet_ ? packet_->pts : AV_NOPTS_VALUE;
}

void Video::hear_to_end() {
  has_packet_ = false;
  av_packet_unref(packet_.get());
  while (heard_ != nullptr) {
    const bool is_more = read_packet();
    file_.watch_progress();
    if (!is_more) {
      heard_ = nullptr;
    }
    av_packet_unref(packet_.get());
  }
}

bool Video::seek(int64_t timestamp) {
  frames_read_ = -1;
  heard_ = nullptr;
  if (av_seek_frame(format_, stream_->index, timestamp, AVSEEK_FLAG_BACKWARD) < 0) {
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
    file_.watch_progress();
  }
  file_.watch_progress();
  return Timeline(packets, codec_->codec_id, codec_->pix_fmt);
}

bool Video::can_pass_over() const {
  return codec_->codec_id == AV_CODEC_ID_H264 || codec_->codec_id == AV_CODEC_ID_MPEG4;
}

bool Video::seek_to_frame(const Timeline& timeline, int64_t number, bool every) {
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
      passes_over_ = can_pass_over() && !every;
      astray_ = false;
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
    if (passes_over_ && is_damaged(*frame)) {
      astray_ = true;
      return nullptr;
    }
    while (passes_over_ && current_ > first_ && current_ < wanted_ && times_[current_] < frame->pts) {
      ++current_;
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
    file_.watch_progress();
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
      file_.watch_progress();
      return nullptr;
    }
  }
}

Ending Video::ending() const {
  if (!ended_by_.empty()) {
    return {frames_read_, ended_by_};
  }
  if (is_cut_off(file_.input()) && lacks_frames()) {
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
    const bool is_before = passes_over_ && packet_->pts != AV_NOPTS_VALUE && packet_->pts < times_[wanted_];
    codec_->skip_frame = is_before ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
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
    const int status = av_read_frame(format_, packet_.get());
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
    if (heard_ != nullptr && packet_->stream_index == heard_->index && packet_->size > 0) {
      take_(packet_.get());
    }
    av_packet_unref(packet_.get());
  }
}

}  // namespace vmz
