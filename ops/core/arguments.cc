#include "core/arguments.h"

#include <algorithm>
#include <initializer_list>

#include "core/common/errors.h"
#include "core/pixels/opencv.h"

namespace vmz {
namespace {

constexpr int kMinDisPixels = 16;         // OpenCV's DIS takes no images that are much smaller
constexpr int kMaxFps = 240;
constexpr double kMaxNumber = 1e18;       // of a video in the stream of all shards; keeps it within 64 bits
constexpr double kMaxBatchValues = 1e12;  // 4 TB of float32; keeps products of sizes within 64 bits

std::string is(const char* name, int64_t value) {
  return std::string(name) + "=" + std::to_string(value);
}

std::string list(const std::vector<int>& values) {
  std::string text = "[";
  for (int value : values) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  }
  return text + "]";
}

void at_least(const char* name, int64_t value, int64_t least) {
  if (value < least) {
    throw RequestError(is(name, value) + " must be at least " + std::to_string(least));
  }
}

void at_most(const char* name, int64_t value, int64_t most) {
  if (value > most) {
    throw RequestError(is(name, value) + " must be at most " + std::to_string(most));
  }
}

struct Range {
  const char* name;
  int value, least, most;
};

void one_of(const char* name, int value, std::initializer_list<int> allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    throw RequestError(is(name, value) + " must be one of " + list(allowed));
  }
}

void check_sizes(const VideoInputArgs& a) {
  const std::string crop = is("crop_size", a.crop_size);
  if (a.video_res_type == kFixedSize && std::min(a.scale_h, a.scale_w) < a.crop_size) {
    const bool height = a.scale_h < a.crop_size;
    throw RequestError(
        (height ? is("scale_h", a.scale_h) : is("scale_w", a.scale_w)) + " is smaller than " + crop +
        "; with video_res_type=0 the video is resized to scale_w x scale_h, no smaller than the crop");
  }
  if (a.video_res_type == kShortEdge) {
    const std::vector<int> edges = a.jitter_scales.empty() ? std::vector<int>{a.short_edge} : a.jitter_scales;
    if (*std::min_element(edges.begin(), edges.end()) < a.crop_size) {
      throw RequestError(
          (a.jitter_scales.empty() ? is("short_edge", a.short_edge) : "jitter_scales=" + list(a.jitter_scales)) +
          " must be no smaller than " + crop + " (video_res_type=1)");
    }
  }
  if (a.crop_per_clip > 1 && a.random_crop) {
    throw RequestError(is("crop_per_clip", a.crop_per_clip) + " needs random_crop=0: several crops have fixed places");
  }
}

void check_clips(const VideoInputArgs& a) {
  const std::string not_this = ", not " + std::to_string(a.decode_type);
  if (a.clips() > 1 && a.decode_type != kUniform) {
    throw RequestError(
        is("clip_per_video", a.clips()) + " needs decode_type=1 (uniform)" + not_this +
        ": the other ways to choose a start give one clip a video");
  }
  if (!a.clip_start_positions.empty()) {
    if (a.decode_type != kUniform) {
      throw RequestError("clip_start_positions needs decode_type=1" + not_this);
    }
    if (*std::min_element(a.clip_start_positions.begin(), a.clip_start_positions.end()) < 0) {
      throw RequestError("clip_start_positions=" + list(a.clip_start_positions) + " must not be negative");
    }
  }
  if (a.get_start_frame && a.decode_type != kFromStartFrame) {
    throw RequestError("get_start_frame=1 needs decode_type=2 (from the start frame)" + not_this);
  }
}

void check_flow(const VideoInputArgs& a) {
  if (!a.get_optical_flow) {  // its arguments are in every net and count only when it is asked for
    return;
  }
  at_least("length_of", a.length_of, 1);
  at_least("sampling_rate_of", a.sampling_rate_of, 1);
  at_least("frame_gap_of", a.frame_gap_of, 1);
  one_of("flow_data_type", a.flow_data_type, {0, 1, 2, 3});
  if (a.flow_alg_type == 1 || a.flow_alg_type == 2) {
    throw RequestError(
        is("flow_alg_type", a.flow_alg_type) + " has no CPU version; use 0 (Farneback) or 3 (DIS, where TV-L1 was)");
  }
  one_of("flow_alg_type", a.flow_alg_type, {kFarneback, kDis});
  if (a.flow_alg_type == kDis && a.crop_size < kMinDisPixels) {
    throw RequestError(
        is("crop_size", a.crop_size) + " is too small for flow_alg_type=3: " + std::to_string(kMinDisPixels) +
        " at least");
  }
}

void check_image(const VideoInputArgs& a) {
  if (!a.image_as_input) {
    return;
  }
  const struct {
    const char* name;
    int value, wanted;
  } fixed[] = {
      {"get_optical_flow", a.get_optical_flow, 0},
      {"length_rgb", a.length_rgb, 1},
      {"video_res_type", a.video_res_type, kFixedSize}};
  for (const auto& argument : fixed) {
    if (argument.value != argument.wanted) {
      throw RequestError(
          is(argument.name, argument.value) +
          " with image_as_input=1: an image is a clip of one RGB frame, resized to scale_w x scale_h; set " +
          is(argument.name, argument.wanted));
    }
  }
  if (a.clips() > 1) {
    throw RequestError(is("clip_per_video", a.clips()) + " with image_as_input=1: an image is one clip");
  }
}

void check_fps(const VideoInputArgs& a) {
  at_least("fps", a.fps, 0);
  at_most("fps", a.fps, kMaxFps);
  if (a.fps > 0 && (a.image_as_input || a.original_start_faults)) {
    throw RequestError(
        is("fps", a.fps) + " does not go with " + (a.image_as_input ? "image_as_input" : "original_start_faults") +
        "=1; set one of them to 0");
  }
}

void check_opencv(const VideoInputArgs& a) {
  if ((a.get_optical_flow || a.image_as_input) && !has_opencv()) {
    throw RequestError(
        std::string(a.get_optical_flow ? "get_optical_flow=1" : "image_as_input=1") +
        " needs OpenCV, and this library was built without; install libopencv-video-dev and run ops/build.sh again");
  }
}

void check_order(const VideoInputArgs& a) {
  one_of("shuffle", a.shuffle, {0, 1});
  at_least("shard_count", a.shard_count, 1);
  at_least("first_position", a.first_position, 0);
  if (a.shard_index < 0 || a.shard_index >= a.shard_count) {
    throw RequestError(
        is("shard_index", a.shard_index) + " must be one of 0 to " + std::to_string(a.shard_count - 1) + " (" +
        is("shard_count", a.shard_count) + ")");
  }
  if ((a.shuffle || a.shard_count > 1) && a.seed == 0) {
    throw RequestError(
        (a.shuffle ? is("shuffle", a.shuffle) : is("shard_count", a.shard_count)) +
        " needs a seed, not seed=0 (from entropy): the readers of other shards and later runs have to draw the same");
  }
  if ((static_cast<double>(a.first_position) + a.batch_size) * a.shard_count > kMaxNumber) {
    throw RequestError(
        is("first_position", a.first_position) + " with " + is("shard_count", a.shard_count) +
        " is more than can be counted");
  }
}

// What the original's AVInput takes and does not do.
void check_not_in_av_input(const VideoInputArgs& a) {
  const struct {
    const char* name;
    int value, fixed;
  } without_effect[] = {
      {"get_optical_flow", a.get_optical_flow, 0},
      {"random_sampling_rate", a.random_sampling_rate, 0},
      {"image_as_input", a.image_as_input, 0}};
  for (const auto& argument : without_effect) {
    if (argument.value != argument.fixed) {
      throw RequestError(
          is(argument.name, argument.value) + " is not possible with sound (AVInput); set " +
          is(argument.name, argument.fixed));
    }
  }
  if (!a.clip_start_positions.empty()) {
    throw RequestError(
        "clip_start_positions=" + list(a.clip_start_positions) + " is not possible with sound (AVInput)");
  }
}

void check_crops_of_pictures(const VideoInputArgs& a) {
  if (a.crop_per_clip > 1 && !a.get_rgb) {
    throw RequestError(
        is("crop_per_clip", a.crop_per_clip) + " needs pictures, of which crops are taken; set crop_per_clip=1");
  }
}

void check_timestamps(const VideoInputArgs& a) {
  if (a.audio.audio_timestamps && a.original_start_faults) {
    throw RequestError("audio_timestamps=1 does not go with original_start_faults=1; set one of them to 0");
  }
}

void check_what_is_read(const VideoInputArgs& a) {
  if (a.is_av_input) {
    check_not_in_av_input(a);
    check_crops_of_pictures(a);
    a.audio.check();
    check_timestamps(a);
  }
  if (!a.sees() && !a.audio.get_logmels) {
    const char* other = a.is_av_input ? "get_logmels=0" : "get_optical_flow=0";
    throw RequestError(std::string("get_rgb=0 and ") + other + " leave nothing to read; set one of them to 1");
  }
}

}  // namespace

void AudioArgs::check() const {
  for (const auto& range : std::initializer_list<Range>{
           {"logmel_frames", logmel_frames, 1, 1 << 16},
           {"logmel_filters", logmel_filters, 1, 4096},
           {"logmel_winsize_ms", logmel_winsize_ms, 1, 10000},
           {"logmel_winstep_ms", logmel_winstep_ms, 1, 10000},
           {"logmel_audio_sr", logmel_audio_sr, 1000, 384000},
           {"audio_length", audio_length, 0, 1 << 24}}) {
    at_least(range.name, range.value, range.least);
    at_most(range.name, range.value, range.most);
  }
  one_of("align_audio", align_audio, {kNoAlignment, kStretched, kAtStart, kCentred});
  one_of("tune_audio_step", tune_audio_step, {0, 1});
  one_of("audio_timestamps", audio_timestamps, {0, 1});
  if (on_missing_audio != "zeros" && on_missing_audio != "stop" && on_missing_audio != "skip") {
    throw RequestError("on_missing_audio=\"" + on_missing_audio + "\" must be one of zeros, stop, skip");
  }
  if (window() < 2) {
    throw RequestError(
        is("logmel_winsize_ms", logmel_winsize_ms) + " is less than 2 samples at " +
        is("logmel_audio_sr", logmel_audio_sr));
  }
}

void VideoInputArgs::check() const {
  check_what_is_read(*this);
  at_least("batch_size", batch_size, 1);
  if (sees()) {
    at_least("crop_size", crop_size, 1);
  }
  at_least("clip_per_video", clip_per_video, 1);
  at_least("crop_per_clip", crop_per_clip, 1);
  if (get_rgb) {
    at_least("length_rgb", length_rgb, 1);
    at_least("sampling_rate_rgb", sampling_rate_rgb, 1);
  }
  at_least("num_decode_threads", num_decode_threads, 1);
  at_most("num_decode_threads", num_decode_threads, 1024);
  at_least("scale_h", scale_h, 0);
  at_least("scale_w", scale_w, 0);
  at_least("short_edge", short_edge, 0);
  at_least("random_sampling_rate", random_sampling_rate, 0);
  at_least("seed", seed, 0);
  at_least("max_frames", max_frames, 0);
  at_least("video_timeout", video_timeout, 0);
  check_fps(*this);
  one_of("autorotate", autorotate, {0, 1});
  one_of("decode_type", decode_type, {kRandom, kUniform, kFromStartFrame});
  one_of("video_res_type", video_res_type, {kFixedSize, kShortEdge, kOriginalSize});
  if (on_bad_video != "stop" && on_bad_video != "skip") {
    throw RequestError("on_bad_video=\"" + on_bad_video + "\" must be one of stop, skip");
  }
  if (sees()) {
    check_sizes(*this);
  }
  check_clips(*this);
  check_flow(*this);
  check_image(*this);
  check_opencv(*this);
  check_order(*this);
  if (do_multi_label && num_of_class < 1) {
    throw RequestError("num_of_class must be set (the number of classes) with do_multi_label=1");
  }
  const double planes = (get_rgb ? 3.0 * length_rgb : 0.0) + (get_optical_flow ? 5.0 * length_of : 0.0);
  const double rows = static_cast<double>(batch_size) * static_cast<double>(clips()) * crop_per_clip;
  const double values = rows * (planes * crop_size * crop_size + static_cast<double>(audio.row_values()));
  if (values > kMaxBatchValues) {
    throw RequestError(
        is("batch_size", batch_size) + " with " + is("clip_per_video", clips()) + ", " +
        is("crop_per_clip", crop_per_clip) + ", " + is("length_rgb", length_rgb) + ", " + is("length_of", length_of) +
        " and " + is("crop_size", crop_size) + " is more than a computer can store");
  }
}

}  // namespace vmz
