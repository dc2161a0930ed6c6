#include "core/clips.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/errors.h"
#include "core/flow.h"
#include "core/image.h"
#include "core/sampling.h"
#include "core/scaling.h"

namespace vmz {
namespace {

constexpr int64_t kToTheEnd = -1;

// What chance decides for one video, drawn before decoding so that it never depends on how decoding goes.
struct Draws {
  int64_t short_edge;
  double start;  // where a random clip starts, in [0, 1)
  struct Clip {
    int64_t stride;
    double top, left;  // where a random crop lies, in [0, 1)
    bool mirror;
  };
  std::vector<Clip> clips;
};

Draws draw(const VideoInputArgs& args, Random random) {
  Draws draws;
  const std::vector<int> scales = args.drawn_edges();
  draws.short_edge =
      scales.empty() ? args.short_edge : scales[static_cast<size_t>(random.below(static_cast<int64_t>(scales.size())))];
  draws.start = random.uniform();
  for (int64_t i = 0; i < args.clips(); ++i) {
    Draws::Clip clip;
    clip.stride = args.random_sampling_rate > 0 ? 1 + random.below(args.random_sampling_rate) : args.sampling_rate_rgb;
    clip.top = random.uniform();
    clip.left = random.uniform();
    clip.mirror = random.uniform() < 0.5 && args.random_mirror;
    draws.clips.push_back(clip);
  }
  return draws;
}

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
  return text;
}

// What each row shows of frames of this size.
std::vector<Crop> crops_of_rows(const VideoInputArgs& args, const Draws& draws, Size size) {
  std::vector<Crop> crops;
  for (const Draws::Clip& clip : draws.clips) {
    if (args.random_crop) {
      const double down = static_cast<double>(size.height - args.crop_size + 1);  // both ends included
      const double across = static_cast<double>(size.width - args.crop_size + 1);
      crops.push_back({{static_cast<int64_t>(clip.top * down), static_cast<int64_t>(clip.left * across)}, clip.mirror});
      continue;
    }
    for (const Offset& offset : crop_offsets(size, args.crop_size, args.crop_per_clip)) {
      crops.push_back({offset, clip.mirror});
    }
  }
  return crops;
}

// One attempt at the clips of an opened video.
class ClipReader {
 public:
  ClipReader(
      Video& video, const VideoInputArgs& args, const Draws& draws, const std::atomic<bool>* cancelled, float* out,
      float* flow)
      : video_(video),
        args_(args),
        draws_(draws),
        cancelled_(cancelled),
        out_(out),
        flow_(flow),
        scaler_(output_size(args, {video.width(), video.height()}, draws.short_edge)) {
    if (std::min(scaler_.size().width, scaler_.size().height) < args.crop_size) {
      throw BadRecord(
          "its frames become " + std::to_string(scaler_.size().width) + "x" + std::to_string(scaler_.size().height) +
          ", smaller than crop_size=" + std::to_string(args.crop_size));
    }
    crops_ = crops_of_rows(args, draws, scaler_.size());
  }

  // One clip of the frames shown at or after a timestamp. False when a start that was drawn leaves too few frames: the
  // frames of a varying rate are denser elsewhere.
  bool by_time(int64_t start_frame) {
    const int64_t needed = frames_needed(args_);
    const int64_t start = start_time(start_frame, needed);
    video_.seek(seek_timestamp(video_.duration(), video_.frames(), start));
    const int64_t found = write({0}, needed, start);
    if (found < needed && (args_.decode_type == kFromStartFrame || args_.original_start_faults)) {
      throw BadRecord(frames_found(found, video_) + " from its start frame on, but " + frames_wanted(needed, args_));
    }
    return found >= needed;
  }

  // Clips at frame numbers, chosen for a video of `expected` frames. Returns the true number of frames if it is another
  // one and other clips would have been chosen for it, else -1.
  int64_t by_number(int64_t expected, int64_t start_frame) {
    const int64_t needed = frames_needed(args_);
    expected = std::min(expected, kMaxFrames);
    const std::vector<int64_t> starts = starts_for(expected, needed, start_frame);
    const int64_t last = *std::max_element(starts.begin(), starts.end());
    // Several uniform clips depend on the number of frames, which is only known at the end.
    const bool uniform = args_.clips() > 1 && args_.clip_start_positions.empty();
    const int64_t stop = uniform ? kToTheEnd : last + needed;
    const int64_t wanted = uniform ? needed : stop;
    const int64_t found = write(starts, stop, std::numeric_limits<int64_t>::min());
    if (found >= wanted) {
      return uniform && found != expected ? found : -1;
    }
    if (found >= needed && args_.decode_type == kRandom && last > 0) {
      return found;
    }
    throw BadRecord(
        frames_found(found, video_) + ", but " + frames_wanted(wanted, args_) +
        (wanted > needed ? " (and " + std::to_string(needed) + " from frame " + std::to_string(last) + " on)" : ""));
  }

  // How reading ended, if before the video's end.
  const Ending& ending() const {
    return ending_;
  }

 private:
  struct Place {
    int64_t clip, frame;
  };

  int64_t start_time(int64_t start_frame, int64_t needed) const {
    if (args_.decode_type == kFromStartFrame) {
      return start_timestamp(video_.duration(), video_.frames(), start_frame);
    }
    const int64_t latest = latest_start(video_.duration(), video_.frames(), needed);
    return static_cast<int64_t>(draws_.start * (static_cast<double>(latest) + 1));
  }

  // First frame of each clip, for a video of `frames` frames whose container gives no times.
  std::vector<int64_t> starts_for(int64_t frames, int64_t needed, int64_t start_frame) const {
    if (!args_.clip_start_positions.empty()) {
      return {args_.clip_start_positions.begin(), args_.clip_start_positions.end()};
    }
    if (args_.decode_type == kUniform) {
      return uniform_starts(std::max(frames, needed), needed, args_.clips());
    }
    if (args_.original_start_faults) {
      return {0};
    }
    if (args_.decode_type == kFromStartFrame) {
      return {std::max<int64_t>(0, start_frame)};
    }
    return {static_cast<int64_t>(draws_.start * static_cast<double>(std::max<int64_t>(0, frames - needed) + 1))};
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
    const bool timed = since != std::numeric_limits<int64_t>::min();
    const int64_t limit = stop == kToTheEnd ? kMaxFrames : std::min(stop, kMaxFrames);
    int64_t read = 0;
    while (read < limit && !(cancelled_ != nullptr && cancelled_->load())) {
      const AVFrame* frame = video_.next();
      if (frame == nullptr) {
        ending_ = video_.ending();
        break;
      }
      const int64_t shown = frame->best_effort_timestamp;
      if (timed && (shown == AV_NOPTS_VALUE || shown < since)) {
        continue;
      }
      const auto places = wanted.find(read);
      const bool for_flow = flow && flow->wants(read);
      if (places != wanted.end() || for_flow) {
        const Pixels pixels = scaler_.convert(*frame);
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
  const Draws& draws_;
  const std::atomic<bool>* cancelled_;
  float* out_;
  float* flow_;
  Scaler scaler_;
  std::vector<Crop> crops_;
  Ending ending_;
};

// The clip of one frame that an image is.
void write_image(
    const VideoSource& source, const VideoInputArgs& args, const Draws& draws, const std::atomic<bool>* cancelled,
    float* out) {
  const Size size{args.scale_w, args.scale_h};
  const std::vector<uint8_t> rgb = read_image(source, size, cancelled);
  for (const Crop& crop : crops_of_rows(args, draws, size)) {
    normalise({rgb.data(), size.width * 3}, crop, args.crop_size, out, int64_t{args.crop_size} * args.crop_size);
    out += args.row_values();
  }
}

// Whether the clips depend on a number of frames that the container may not state.
bool depends_on_frames(const VideoInputArgs& args) {
  if (args.decode_type == kUniform) {
    return args.clips() > 1 && args.clip_start_positions.empty();
  }
  return args.decode_type == kRandom && !args.original_start_faults;
}

}  // namespace

Ending read_clips(
    const VideoSource& source,
    int64_t start_frame,
    const VideoInputArgs& args,
    Random random,
    const std::atomic<bool>* cancelled,
    float* out,
    float* flow) {
  const Draws draws = draw(args, random);
  Ending ending;
  if (args.image_as_input) {
    write_image(source, args, draws, cancelled, out);
    return ending;
  }
  int64_t expected = -1;
  {
    Video video(source, cancelled);
    ClipReader reader(video, args, draws, cancelled, out, flow);
    expected = video.frames();
    if (args.decode_type != kUniform && video.has_times()) {
      if (reader.by_time(start_frame)) {
        return ending;
      }
    } else {
      if (expected == 0 && depends_on_frames(args)) {
        expected = Video(source, cancelled).count_packets();
      }
      expected = reader.by_number(expected, start_frame);
    }
    ending = reader.ending();
  }
  // The container misstated times or number of frames, and the clips depend on them.
  for (int attempt = 0; attempt < 2 && expected >= 0; ++attempt) {
    Video video(source, cancelled);
    ClipReader reader(video, args, draws, cancelled, out, flow);
    expected = reader.by_number(expected, start_frame);
    if (!reader.ending().reason.empty()) {
      ending = reader.ending();
    }
  }
  if (expected >= 0) {
    throw BadRecord("it gives another number of frames each time it is read");
  }
  return ending;
}

}  // namespace vmz
