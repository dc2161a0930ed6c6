// Opening a video and reading its frames in presentation order, through FFmpeg's libraries.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/common/libav.h"
#include "core/decoding/opened.h"
#include "core/decoding/orientation.h"
#include "core/decoding/timeline.h"

namespace vmz {

// Why reading stopped before a video's end; no reason: it did not. frames: read from the video's start, -1 where they
// were not counted.
struct Ending {
  int64_t frames = -1;
  std::string reason;
};

// The first video stream of a file, cover pictures passed over. One thread at a time.
class Video {
 public:
  // Throws BadRecord when there is nothing that can be opened and decoded, here and wherever the video is read when
  // `watch`, which may be null, is over.
  Video(const VideoSource& source, Watch* watch);

  int64_t width() const {
    return codec_->width;
  }
  int64_t height() const {
    return codec_->height;
  }
  // FFmpeg's name of the container.
  const char* format() const {
    return format_->iformat->name;
  }
  // What the container states, in the stream's time base; 0 where it does not.
  int64_t duration() const;
  int64_t frames() const;
  // Seconds of one unit of a timestamp, and frames a second on average, 0 where it is not stated.
  AVRational time_base() const {
    return stream_->time_base;
  }
  AVRational rate() const {
    return stream_->avg_frame_rate;
  }
  // When it begins, in the stream's time base; AV_NOPTS_VALUE where that is not stated.
  int64_t start_time() const {
    return stream_->start_time;
  }
  // Whether times may begin again in its container, as in MPEG-TS: a large gap then is no pause.
  bool times_may_restart() const {
    return (format_->iformat->flags & AVFMT_TS_DISCONT) != 0;
  }
  // Without both there is no seeking.
  bool has_times() const {
    return duration() > 0 && frames() > 0;
  }

  const OpenedFile& file() const {
    return file_;
  }

  // What takes the packets of another stream, as they come between those that are read for frames.
  using Take = std::function<void(AVPacket*)>;
  // Has it take what is read from here on, until the next seek.
  void hear(AVStream* stream, Take take);
  // The time at which the next packet of the video is shown, AV_NOPTS_VALUE where it has none or there is none.
  int64_t peek_time();
  // Reads the rest of the file for it. After it, only a seek can follow.
  void hear_to_end();

  // Goes to the last key frame at or before `timestamp`. Where that fails, reading goes on from where it is.
  bool seek(int64_t timestamp);

  // What the packets from here to the end tell, read but not decoded. After it, only seek_to_frame can follow.
  Timeline timeline();

  // Whether seek_to_frame can leave frames out on its way: whether the decoder can pass over those that no other frame
  // refers to, and tells damage. HEVC's goes by layers of time (a frame of a higher one may refer to what it passes
  // over), MPEG-2's does not tell where it mended a frame.
  bool can_pass_over() const;

  // Goes to a key frame at or before frame `number`, and has next() give the frames from that number on. False where
  // no seek leads there. every=false: of those before it only what others refer to is decoded, where it can_pass_over().
  // Damage leads astray then: the decoder mends a frame by what it decoded last, be it referred to or not.
  bool seek_to_frame(const Timeline& timeline, int64_t number, bool every);

  // The next frame, valid until the following call; its best_effort_timestamp may be AV_NOPTS_VALUE.
  // Null at the end, at the first decoding error (the frames before it are good), and where went_astray().
  const AVFrame* next();

  // Whether the frames after seek_to_frame were not those that the packets tell: decode from the start.
  bool went_astray() const {
    return astray_;
  }

  // What its display matrix asks for, known from the first frame on; frames are given as they are.
  const Orientation& orientation() const {
    return orientation_;
  }

  // The decoding error that ended the video early, or nothing.
  const std::string& ended_by() const {
    return ended_by_;
  }

  // How reading ended, if before the video's end: by an error, or because the file is cut off. To be asked when next()
  // has returned null.
  Ending ending() const;

 private:
  bool lacks_frames() const;
  bool feed();  // one packet more into the decoder; false when there is none
  bool read_packet();  // the next one of the stream into packet_; false when there is none
  const AVFrame* decode();

  Watch* const watch_;
  OpenedFile file_;
  AVFormatContext* const format_;
  Owned<AVFrame> frame_;
  Owned<AVPacket> packet_;
  AVStream* const stream_;
  Owned<AVCodecContext> codec_;
  AVStream* heard_ = nullptr;
  Take take_;
  bool has_packet_ = false;  // one that was read ahead
  bool drained_ = false;
  bool met_a_frame_ = false;
  int64_t frames_read_ = 0;  // from the start; -1 once it was sought
  int64_t last_time_ = AV_NOPTS_VALUE;
  Orientation orientation_;
  // After seek_to_frame: the timestamps that the frames must have from the key frame on, and where reading stands.
  std::vector<int64_t> times_;
  size_t first_ = 0, current_ = 0, wanted_ = 0;
  bool passes_over_ = false;  // frames before wanted_ to which none refers
  bool astray_ = false;
  std::string ended_by_;
};

}  // namespace vmz
