#include "core/clips.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/audio/hearing.h"
#include "core/common/errors.h"
#include "core/decoding/orientation.h"
#include "core/decoding/resampling.h"
#include "core/draws.h"
#include "core/pixels/flow.h"
#include "core/pixels/image.h"
#include "core/pixels/scaling.h"
#include "core/sampling.h"

namespace vmz {
namespace {

constexpr int64_t kRead = -1;  // in place of a number of frames to try anew with

std::string frames_found(int64_t found, const Video& video) {
  std::string text = std::to_string(found) + (found == 1 ? " frame" : " frames");
  return video.ended_by().empty() ? text : text + " (decoding ended there: " + video.ended_by() + ")";
}

std::string frames_wanted(int64_t needed, const VideoInputArgs& args) {
  std::string text = std::to_string(needed) + " are needed for";
  const auto add = [&text](const char* name, int value) {
    text += std::string(" --") + name + "=" + std::to_string(value);
  };
  if (args.get_rgb) {
    add("clip_length_rgb", args.length_rgb);
    add("sampling_rate_rgb", args.sampling_rate_rgb);
    if (args.random_sampling_rate > 0) {
      add("random_sampling_rate", args.random_sampling_rate);
    }
  }
  if (args.get_optical_flow) {
    add("clip_length_of", args.length_of);
    add("sampling_rate_of", args.sampling_rate_of);
    add("frame_gap_of", args.frame_gap_of);
  }
  if (args.fps > 0) {
    add("fps", args.fps);
  }
  return text;
}

// Throws for frames that become too small for a crop, or larger than any that are read.
Size checked(Size size, const VideoInputArgs& args) {
  const std::string become =
      "its frames become " + std::to_string(size.width) + "x" + std::to_string(size.height) + ", ";
  if (std::min(size.width, size.height) < args.crop_size) {
    throw BadRecord(become + "smaller than crop_size=" + std::to_string(args.crop_size));
  }
  if (size.width > kMaxPixels / size.height) {
    throw BadRecord(become + "more than the " + std::to_string(kMaxPixels) + " pixels (max_pixels) that are read");
  }
  return size;
}

// One attempt at the clips of an opened video.
class ClipReader {
 public:
  ClipReader(
      Video& video, const VideoInputArgs& args, Draws& draws, const Orientation& orientation, Watch* watch, float* out,
      float* flow, Hearing& hearing)
      : video_(video),
        args_(args),
        draws_(draws),
        watch_(watch),
        out_(out),
        flow_(flow),
        hearing_(hearing),
        needed_(frames_needed(args)),
        size_(checked(output_size(args, orientation.size({video.width(), video.height()}), draws.short_edge), args)),
        scaler_(orientation.size(size_)),
        turner_(orientation) {
    crops_ = crops_of_rows(args, draws, size_);
  }

  // As the original: one clip of the frames whose timestamps are no less than a share of the duration.
  void by_time(int64_t start_frame) {
    const int64_t duration = video_.duration(), frames = video_.frames();
    const int64_t start = args_.decode_type == kFromStartFrame
        ? start_timestamp(duration, frames, start_frame)
        : static_cast<int64_t>(draws_.start * (static_cast<double>(latest_start(duration, frames, needed_)) + 1));
    video_.seek(seek_timestamp(duration, frames, start));
    hearing_.begin_at_seek(video_);
    const int64_t found = write({0}, needed_, start);
    if (found < needed_) {
      throw BadRecord(frames_found(found, video_) + " from its start frame on, but " + frames_wanted(needed_, args_));
    }
  }

  // One clip from a frame that the packets tell, by a seek. kRead, or the number of frames to decode from the start by.
  int64_t by_packets(int64_t start_frame) {
    const Timeline timeline = video_.timeline();
    const int64_t frames = std::min(timeline.frames(), limit()), start = this->start(frames, start_frame);
    if (start > frames - needed_) {
      return frames;
    }
    const bool read = (video_.can_pass_over() && by_a_seek(timeline, start, false)) || by_a_seek(timeline, start, true);
    return read ? kRead : frames;
  }

  // Where the one clip was found that does not depend on uniform spacing.
  const Found& found() const {
    return found_;
  }

  // Clips at frame numbers, chosen for a video of `expected` frames, decoded from its start. Returns the true number of
  // frames if it is another one and other clips would have been chosen for it, else kRead. `ended`: how reading ended,
  // if before the video's end.
  int64_t by_number(int64_t expected, int64_t start_frame, Ending* ended) {
    const int64_t limit = this->limit();
    expected = std::min(expected, limit);
    const std::vector<int64_t> starts = starts_for(expected, start_frame);
    const int64_t last = *std::max_element(starts.begin(), starts.end());
    // Several uniform clips depend on the number of frames, which is only known at the end.
    const bool uniform = args_.clips() > 1 && args_.clip_start_positions.empty();
    const int64_t wanted = uniform ? needed_ : last + needed_;
    const int64_t found = write(starts, uniform ? limit : std::min(wanted, limit), kAnyTime);
    if (!ending_.reason.empty()) {
      *ended = ending_;
    }
    if (found >= wanted) {
      return uniform && found != expected ? found : kRead;
    }
    if (found >= needed_ && args_.decode_type == kRandom && last > 0) {
      draws_.start = redrawn(draws_.start, expected, found, needed_);
      return found;
    }
    const std::string read = found == limit ? " (no more are read with max_frames=" + std::to_string(limit) + ")" : "";
    if (args_.decode_type == kFromStartFrame) {
      throw BadRecord(
          frames_found(std::max<int64_t>(0, found - last), video_) + " from its start frame on" + read + ", but " +
          frames_wanted(needed_, args_));
    }
    throw BadRecord(
        frames_found(found, video_) + read + ", but " + frames_wanted(wanted, args_) +
        (wanted > needed_ ? " (and " + std::to_string(needed_) + " from frame " + std::to_string(last) + " on)" : ""));
  }

 private:
  // Whether the clip from frame `start` on was found. every: decode every frame on the way to it.
  bool by_a_seek(const Timeline& timeline, int64_t start, bool every) {
    if (!video_.seek_to_frame(timeline, start, every) || write({0}, needed_, kAnyTime) != needed_) {
      return false;
    }
    const std::vector<int64_t>& times = timeline.times();
    found_ = {start, times[static_cast<size_t>(start)], {times.begin(), times.begin() + start}};
    return true;
  }

  static constexpr int64_t kAnyTime = std::numeric_limits<int64_t>::min();

  struct Place {
    int64_t clip, frame;
  };

  int64_t limit() const {
    return args_.max_frames > 0 ? args_.max_frames : std::numeric_limits<int64_t>::max();
  }

  // First frame of each clip, for a video of `frames` frames.
  std::vector<int64_t> starts_for(int64_t frames, int64_t start_frame) const {
    if (!args_.clip_start_positions.empty()) {
      return {args_.clip_start_positions.begin(), args_.clip_start_positions.end()};
    }
    if (args_.decode_type == kUniform) {
      return uniform_starts(std::max(frames, needed_), needed_, args_.clips());
    }
    return {args_.original_start_faults ? 0 : start(frames, start_frame)};
  }

  // First frame of the one clip that does not depend on uniform spacing.
  int64_t start(int64_t frames, int64_t start_frame) const {
    return args_.decode_type == kFromStartFrame ? std::max<int64_t>(0, start_frame)
                                                : random_start(draws_.start, frames, needed_);
  }

  // Reads frames up to number `stop`, counting from the first one shown at or after the timestamp `since`, and returns
  // how many there were.
  int64_t write(const std::vector<int64_t>& starts, int64_t stop, int64_t since) {
    std::unordered_map<int64_t, std::vector<Place>> wanted;
    for (size_t clip = 0; clip < starts.size(); ++clip) {
      for (int64_t frame = 0; args_.get_rgb && frame < args_.length_rgb; ++frame) {
        wanted[starts[clip] + frame * draws_.clips[clip].stride].push_back({static_cast<int64_t>(clip), frame});
      }
    }
    const std::unique_ptr<FlowWriter> flow = flow_writer(starts);
    const std::unique_ptr<ResampledFrames> resampled(args_.fps > 0 ? new ResampledFrames(video_, args_.fps) : nullptr);
    int64_t read = 0;
    found_ = Found();
    while (read < stop && !(watch_ != nullptr && watch_->cancelled())) {
      const AVFrame* frame = resampled ? resampled->next() : video_.next();
      if (frame == nullptr) {
        ending_ = video_.ending();
        break;
      }
      const int64_t shown = frame->best_effort_timestamp;
      if (since != kAnyTime && (shown == AV_NOPTS_VALUE || shown < since)) {
        ++found_.first;
        continue;
      }
      if (read < starts.front()) {
        if (shown != AV_NOPTS_VALUE) {
          found_.times.push_back(shown);
        }
        ++found_.first;
      } else if (read == starts.front()) {
        found_.time = shown;
      }
      const auto places = wanted.find(read);
      const bool for_flow = flow && flow->wants(read);
      if (places != wanted.end() || for_flow) {
        const Pixels pixels = turner_.turn(scaler_.convert(*frame), scaler_.size());
        if (places != wanted.end()) {
          for (const Place& place : places->second) {
            write_crops(pixels, place);
          }
        }
        if (for_flow) {
          flow->add(read, pixels);
        }
      }
      ++read;
    }
    return read;
  }

  void write_crops(const Pixels& pixels, Place place) const {
    const int64_t size = args_.crop_size, plane = size * size;
    for (int64_t crop = 0; crop < args_.crop_per_clip; ++crop) {
      const int64_t row = place.clip * args_.crop_per_clip + crop;
      float* to = out_ + row * args_.row_values() + place.frame * plane;
      normalise(pixels, crops_[static_cast<size_t>(row)], size, to, args_.length_rgb * plane);
    }
  }

  // Null where no flow is asked for.
  std::unique_ptr<FlowWriter> flow_writer(const std::vector<int64_t>& starts) const {
    if (!args_.get_optical_flow) {
      return nullptr;
    }
    std::vector<int64_t> of_rows;
    for (const int64_t start : starts) {
      of_rows.insert(of_rows.end(), static_cast<size_t>(args_.crop_per_clip), start);
    }
    return std::unique_ptr<FlowWriter>(new FlowWriter(args_, crops_, of_rows, flow_));
  }

  Video& video_;
  const VideoInputArgs& args_;
  Draws& draws_;
  Watch* watch_;
  float* out_;
  float* flow_;
  Hearing& hearing_;
  const int64_t needed_;
  const Size size_;  // of the frames scaled and turned
  Scaler scaler_;
  Turner turner_;
  std::vector<Crop> crops_;
  Ending ending_;
  Found found_;
};

constexpr int64_t ClipReader::kAnyTime;

// The clip of one frame that an image is.
void write_image(const VideoSource& source, const VideoInputArgs& args, const Draws& draws, Watch* watch, float* out) {
  const Size size{args.scale_w, args.scale_h};
  const std::vector<uint8_t> rgb = read_image(source, size, watch);
  for (const Crop& crop : crops_of_rows(args, draws, size)) {
    normalise({rgb.data(), size.width * 3}, crop, args.crop_size, out, int64_t{args.crop_size} * args.crop_size);
    out += args.row_values();
  }
}

// How autorotate turns a video.
Orientation orientation_of(const VideoSource& source, Watch* watch) {
  Video video(source, watch);
  video.next();
  if (!video.orientation().right_angled) {
    throw BadRecord(
        "its metadata rotates it by " + std::to_string(video.orientation().rotation) +
        " degrees; autorotate=1 supports only multiples of 90 degrees");
  }
  return video.orientation();
}

}  // namespace

namespace {

// The clips of a video's frames; `hearing` has heard its sound.
Reading see_clips(
    const VideoSource& source, int64_t start_frame, const VideoInputArgs& args, Draws& draws, Watch* watch, float* out,
    float* flow, Hearing& hearing) {
  const Orientation orientation = args.autorotate ? orientation_of(source, watch) : Orientation();
  Ending ended;
  const auto reading = [&](Video& video, const ClipReader& reader) {
    hearing.finish(video, source, reader.found());
    return Reading{ended, "", video.orientation().rotation};
  };
  int64_t expected = kRead;
  {
    Video video(source, watch);
    ClipReader reader(video, args, draws, orientation, watch, out, flow, hearing);
    hearing.begin(video);
    const bool uniform = args.decode_type == kUniform;
    const bool spread_out = args.clips() > 1 && args.clip_start_positions.empty();
    if (args.fps > 0) {
      const bool counts = spread_out || args.decode_type == kRandom;
      expected = reader.by_number(counts ? resampled_frames(source, watch, args.fps) : 0, start_frame, &ended);
    } else if (!uniform && args.original_start_faults && video.has_times()) {
      reader.by_time(start_frame);
    } else if (
        uniform || args.original_start_faults ||
        (args.decode_type == kFromStartFrame && start_frame < kWorthSeeking)) {  // near: no slower than to look for it
      expected = video.frames();
      if (expected == 0 && spread_out) {
        expected = Video(source, watch).timeline().frames();
      }
      expected = reader.by_number(expected, start_frame, &ended);
    } else {
      expected = reader.by_packets(start_frame);
    }
    if (expected == kRead) {
      return reading(video, reader);
    }
    hearing.end(video);
  }
  // The container misstated the number of frames on which the clips depend, or its packets do not tell which is where.
  for (int attempt = 0; attempt < 2; ++attempt) {
    Video video(source, watch);
    ClipReader reader(video, args, draws, orientation, watch, out, flow, hearing);
    expected = reader.by_number(expected, start_frame, &ended);
    if (expected == kRead) {
      return reading(video, reader);
    }
  }
  throw BadRecord("it gives a different number of frames each time it is read");
}

}  // namespace

Reading read_clips(
    const VideoSource& source, int64_t start_frame, const VideoInputArgs& args, Random random, Watch* watch, float* out,
    float* flow, float* logmels) {
  Draws draws = draw(args, random);
  if (args.image_as_input) {
    write_image(source, args, draws, watch, out);
    return Reading();
  }
  Hearing hearing(args, watch, logmels);
  Reading reading;
  if (args.sees()) {
    reading = see_clips(source, start_frame, args, draws, watch, out, flow, hearing);
  } else {
    hearing.alone(source, start_frame, draws.start);
  }
  reading.without_sound = hearing.write();
  if (!reading.without_sound.empty() && args.audio.on_missing_audio != "zeros") {
    throw MissingSound(reading.without_sound);
  }
  return reading;
}

}  // namespace vmz
