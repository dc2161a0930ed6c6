#include "core/audio/hearing.h"

#include <algorithm>
#include <cmath>

#include "core/audio/alignment.h"
#include "core/audio/log_mel.h"
#include "core/common/errors.h"
#include "core/decoding/containers.h"
#include "core/sampling.h"

namespace vmz {
namespace {

double seconds_of(int64_t timestamp, AVRational base) {
  return timestamp == AV_NOPTS_VALUE ? 0 : static_cast<double>(timestamp) * av_q2d(base);
}

// What a stream states, 0 where it does not.
int64_t stated(int64_t value) {
  return std::max<int64_t>(0, value);  // AV_NOPTS_VALUE is negative
}

}  // namespace

bool Hearing::takes_all(const Video& video) const {
  return args_.decode_type == kUniform || args_.audio.audio_timestamps || !video.has_times();
}

int64_t Hearing::stated_frames(const Video& video) const {
  if (args_.fps == 0 || video.frames() == 0) {
    return video.frames();
  }
  return static_cast<int64_t>(seconds_of(video.duration(), video.time_base()) * args_.fps);
}

// With audio_timestamps sample 0 lies `from` seconds after the beginning of the video, or of the sound where it has
// none.
void Hearing::make_sound(const OpenedFile& file, double from, double seconds) {
  AVStream* stream = file.sound();
  sound_.reset(new Sound(stream, args_.audio, watch_, file.sound_lies_elsewhere() ? kSoundElsewhere : ""));
  const AVStream* clock = file.video() != nullptr ? file.video() : stream;
  if (clock != nullptr) {
    sound_->place(seconds_of(clock->start_time, clock->time_base) + from, seconds);
  }
}

void Hearing::listen(Video& video) {
  make_sound(video.file(), 0, seconds_of(video.duration(), video.time_base()));
  Sound* sound = sound_.get();
  if (sound->stream() != nullptr) {
    video.hear(sound->stream(), [sound](AVPacket* packet) { sound->add(packet); });
  }
}

void Hearing::begin(Video& video) {
  if (out_ != nullptr && takes_all(video)) {
    listen(video);
    sound_->expect_all();
  }
}

void Hearing::begin_at_seek(Video& video) {
  if (out_ != nullptr && !sound_) {
    listen(video);
  }
}

void Hearing::end(Video& video) {
  if (sound_ && !is_heard_) {
    video.hear_to_end();
    is_heard_ = true;
  }
}

void Hearing::finish(Video& video, const VideoSource& source, const Found& found) {
  if (out_ == nullptr) {
    return;
  }
  frames_ = stated_frames(video);
  first_ = found.first;
  if (found.time != Found::kNoTime) {
    clip_time_ = seconds_of(found.time, video.time_base()) - seconds_of(video.start_time(), video.time_base());
  }
  if (sound_) {
    end(video);
    return;
  }
  const int64_t at = start_timestamp(video.duration(), std::max<int64_t>(1, frames_), found.first);
  if (video.seek(seek_timestamp(video.duration(), std::max<int64_t>(1, frames_), at))) {
    hear_after_seek(video, found);
  } else {
    const OpenedFile file(source, watch_);
    make_sound(file);
    hear_file(file);
  }
}

// As the original counts the clip's first frame: from the key frame to which the seek leads.
void Hearing::hear_after_seek(Video& video, const Found& found) {
  listen(video);
  const int64_t time = video.peek_time();
  if (time != AV_NOPTS_VALUE && args_.fps > 0) {
    const double seconds = seconds_of(time, video.time_base()) - seconds_of(video.start_time(), video.time_base());
    first_ -= static_cast<int64_t>(std::max(0.0, seconds) * args_.fps);
  } else if (time != AV_NOPTS_VALUE) {
    first_ -= std::lower_bound(found.times.begin(), found.times.end(), time) - found.times.begin();
  }
  first_ = std::max<int64_t>(0, first_);
  end(video);
}

// Where the sound of a clip begins whose frames nobody asks for: goes there as the original does, or with
// audio_timestamps says how many seconds come before it.
double Hearing::start_alone(const OpenedFile& file, int64_t start_frame, double draw) const {
  const AVStream *video = file.video(), *stream = file.sound();
  if (args_.decode_type == kFromStartFrame && video == nullptr) {
    throw BadRecord("the file has no video stream, so it has no start frame");
  }
  if (args_.decode_type == kUniform || stream == nullptr) {
    return 0;
  }
  int64_t start = 0;
  AVRational base = stream->time_base;
  if (args_.decode_type == kFromStartFrame) {
    const int64_t duration = stated(video->duration), frames = stated(video->nb_frames);
    if (duration == 0 || frames == 0) {
      return 0;
    }
    base = video->time_base;
    start = start_timestamp(duration, frames, std::max<int64_t>(0, start_frame));
  } else if (base.num > 0) {
    const double second = 1 / av_q2d(base), duration = static_cast<double>(stated(stream->duration));
    start = static_cast<int64_t>(draw * std::max(0.0, duration - second));
  }
  if (args_.audio.audio_timestamps) {
    return seconds_of(start, base);
  }
  // In the sound's time base, whichever it was computed in.
  av_seek_frame(file.format(), stream->index, start, AVSEEK_FLAG_BACKWARD);
  return 0;
}

void Hearing::hear_file(const OpenedFile& file) {
  const AVStream* stream = sound_->stream();
  Owned<AVPacket> packet(allocated(av_packet_alloc()));
  while (stream != nullptr && av_read_frame(file.format(), packet.get()) >= 0) {
    if (packet->stream_index == stream->index && packet->size > 0) {
      sound_->add(packet.get());
    }
    av_packet_unref(packet.get());
  }
  file.watch_progress();
  is_heard_ = true;
}

void Hearing::alone(const VideoSource& source, int64_t start_frame, double draw) {
  OpenedFile file(source, watch_);
  if (file.sound() != nullptr) {
    file.read_only(file.sound());
  }
  make_sound(file, start_alone(file, start_frame, draw));
  if (args_.decode_type == kUniform || args_.audio.audio_timestamps) {
    sound_->expect_all();
  }
  hear_file(file);
}

// Every crop of a clip has the clip's sound. From the last clip on: it goes furthest.
void Hearing::copy_to_crops() {
  const int64_t crops = args_.crop_per_clip, values = args_.audio.row_values();
  for (int64_t row = args_.rows() - 1; row > 0; --row) {
    const float* of_clip = out_ + row / crops * values;
    if (row / crops != row) {
      std::copy(of_clip, of_clip + values, out_ + row * values);
    }
  }
}

std::string Hearing::write() {
  if (out_ == nullptr) {
    return "";
  }
  sound_->end();
  std::vector<float> samples = sound_->take();
  const AudioArgs& audio = args_.audio;
  const int64_t needed = frames_needed(args_);
  const bool is_aligned = args_.get_rgb && frames_ > 0;
  if (audio.audio_timestamps && args_.decode_type != kUniform && (!is_aligned || audio.align_audio == kNoAlignment)) {
    const double before = std::max(0.0, clip_time_) * audio.logmel_audio_sr;
    const auto cut = static_cast<ptrdiff_t>(std::min(before, static_cast<double>(samples.size())));
    samples.erase(samples.begin(), samples.begin() + cut);
  }
  int64_t step = audio.logmel_winstep_ms;
  if (audio.tune_audio_step && is_aligned) {
    step = tuned_step_ms(audio, static_cast<int64_t>(samples.size()), frames_, needed);
  }
  LogMelFilters filters(audio);
  const LogMels rows = filters.rows(samples, std::max<int64_t>(1, audio.step(step)));
  write_log_mels(rows, args_, {is_aligned ? frames_ : 0, needed, first_}, out_);
  copy_to_crops();
  return sound_->missing();
}

}  // namespace vmz
