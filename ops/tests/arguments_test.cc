#include "core/arguments.h"

#include "check.h"
#include "core/common/errors.h"
#include "core/pixels/opencv.h"

using vmz::RequestError;
using vmz::VideoInputArgs;

namespace {

VideoInputArgs good() {
  VideoInputArgs args;
  args.batch_size = 1;
  args.length_rgb = 8;
  args.crop_size = 112;
  args.scale_h = 128;
  args.scale_w = 171;
  return args;
}

template <class Change>
VideoInputArgs with(Change change) {
  VideoInputArgs args = good();
  change(args);
  return args;
}

}  // namespace

TEST(the_originals_defaults) {
  const VideoInputArgs args;
  CHECK_EQUAL(args.clip_per_video, 1);
  CHECK_EQUAL(args.num_decode_threads, 4);
  CHECK_EQUAL(args.random_mirror, 1);
  CHECK_EQUAL(args.decode_type, 0);
  int count = 0;
  for_each_argument(args, [&count](const char*, const auto&) { ++count; });
  CHECK_EQUAL(count, 47);
}

TEST(the_originals_defaults_of_sound) {
  const vmz::AudioArgs audio;
  CHECK_EQUAL(audio.window(), 256);
  CHECK_EQUAL(audio.step(audio.logmel_winstep_ms), 160);
  CHECK_EQUAL(audio.align_audio, 1);
  int count = 0;
  for_each_audio_argument(audio, [&count](const char*, const auto&) { ++count; });
  CHECK_EQUAL(count, 12);
}

TEST(wrong_arguments_of_sound_are_named) {
  const auto refused = [](const char* message, auto change) {
    VideoInputArgs args = with(change);
    args.is_av_input = true;
    CHECK_THROWS(RequestError, message, args.check());
  };
  refused("get_rgb=0 and get_logmels=0 leave nothing to read", [](VideoInputArgs& a) { a.get_rgb = 0; });
  refused("logmel_frames=0 must be at least 1", [](VideoInputArgs& a) { a.audio.logmel_frames = 0; });
  refused("logmel_filters=-1 must be at least 1", [](VideoInputArgs& a) { a.audio.logmel_filters = -1; });
  refused("logmel_winsize_ms=0 must be", [](VideoInputArgs& a) { a.audio.logmel_winsize_ms = 0; });
  refused(
      "logmel_winstep_ms=20000 must be at most 10000", [](VideoInputArgs& a) { a.audio.logmel_winstep_ms = 20000; });
  refused("logmel_audio_sr=10 must be", [](VideoInputArgs& a) { a.audio.logmel_audio_sr = 10; });
  refused("is less than 2 samples", [](VideoInputArgs& a) {
    a.audio.logmel_winsize_ms = 1, a.audio.logmel_audio_sr = 1000;
  });
  refused("align_audio=4 must be one of [0, 1, 2, 3]", [](VideoInputArgs& a) { a.audio.align_audio = 4; });
  refused("on_missing_audio=\"no\" must be one of", [](VideoInputArgs& a) { a.audio.on_missing_audio = "no"; });
  refused("get_optical_flow=1 is not possible with sound", [](VideoInputArgs& a) { a.get_optical_flow = 1; });
  refused("crop_per_clip=3 needs pictures, of which crops are taken", [](VideoInputArgs& a) {
    a.crop_per_clip = 3, a.get_rgb = 0;
  });
  refused("audio_timestamps=1 does not go with", [](VideoInputArgs& a) {
    a.audio.audio_timestamps = a.original_start_faults = 1;
  });
  VideoInputArgs alone;  // no pictures: no sizes
  alone.is_av_input = true;
  alone.batch_size = alone.audio.get_logmels = 1;
  alone.get_rgb = 0;
  alone.check();
}

TEST(good_arguments_pass) {
  good().check();
  with([](VideoInputArgs& a) { a.clip_start_positions = {0, 5}, a.decode_type = 1; }).check();
  with([](VideoInputArgs& a) { a.jitter_scales = {128, 160}, a.video_res_type = 1; }).check();
  with([](VideoInputArgs& a) { a.video_res_type = 2, a.scale_h = a.scale_w = 0; }).check();
  with([](VideoInputArgs& a) { a.shuffle = 1, a.seed = 3, a.first_position = 5; }).check();
  with([](VideoInputArgs& a) { a.shard_index = 3, a.shard_count = 4, a.seed = 3; }).check();
}

TEST(jitter_scales_are_for_the_short_edge_only) {
  const VideoInputArgs fixed = with([](VideoInputArgs& a) { a.jitter_scales = {64, 128}; });
  fixed.check();
  CHECK(fixed.drawn_edges().empty());
  const VideoInputArgs edge = with([](VideoInputArgs& a) { a.jitter_scales = {128, 160}, a.video_res_type = 1; });
  CHECK_EQUAL(edge.drawn_edges().size(), size_t{2});
}

TEST(explicit_starts_set_the_number_of_clips) {
  const VideoInputArgs args = with([](VideoInputArgs& a) { a.clip_start_positions = {0, 5, 9}, a.crop_per_clip = 2; });
  CHECK_EQUAL(args.clips(), 3);
  CHECK_EQUAL(args.rows(), 6);
  CHECK_EQUAL(args.video_values(), int64_t{6} * 3 * 8 * 112 * 112);
}

TEST(wrong_arguments_are_named) {
  const auto refused = [](const char* part, void (*change)(VideoInputArgs&)) {
    CHECK_THROWS(RequestError, part, with(change).check());
  };
  refused("batch_size=0 must be at least 1", [](VideoInputArgs& a) { a.batch_size = 0; });
  refused("length_rgb=0", [](VideoInputArgs& a) { a.length_rgb = 0; });
  refused("sampling_rate_rgb=0", [](VideoInputArgs& a) { a.sampling_rate_rgb = 0; });
  refused("scale_h=100 is smaller than crop_size=112", [](VideoInputArgs& a) { a.scale_h = 100; });
  refused("scale_w=100", [](VideoInputArgs& a) { a.scale_w = 100; });
  refused("short_edge=100", [](VideoInputArgs& a) { a.video_res_type = 1, a.short_edge = 100; });
  refused("jitter_scales=[100, 128]", [](VideoInputArgs& a) { a.video_res_type = 1, a.jitter_scales = {100, 128}; });
  refused("clip_per_video=2 needs decode_type=1", [](VideoInputArgs& a) { a.clip_per_video = 2; });
  refused("clip_start_positions needs", [](VideoInputArgs& a) { a.clip_start_positions = {3}; });
  refused("must not be negative", [](VideoInputArgs& a) { a.clip_start_positions = {-3}, a.decode_type = 1; });
  refused("crop_per_clip=3 needs random_crop=0", [](VideoInputArgs& a) { a.crop_per_clip = 3; });
  refused("get_start_frame=1 needs", [](VideoInputArgs& a) { a.get_start_frame = 1; });
  refused("num_of_class", [](VideoInputArgs& a) { a.do_multi_label = 1; });
  refused("decode_type=3 must be one of [0, 1, 2]", [](VideoInputArgs& a) { a.decode_type = 3; });
  refused("on_bad_video=\"go on\"", [](VideoInputArgs& a) { a.on_bad_video = "go on"; });
  refused("get_rgb=0 and get_optical_flow=0 leave nothing", [](VideoInputArgs& a) { a.get_rgb = 0; });
  refused("length_of=0", [](VideoInputArgs& a) { a.get_optical_flow = 1; });
  refused("frame_gap_of=0", [](VideoInputArgs& a) { a.get_optical_flow = a.length_of = 1, a.frame_gap_of = 0; });
  refused("flow_data_type=4", [](VideoInputArgs& a) { a.get_optical_flow = a.length_of = 1, a.flow_data_type = 4; });
  refused("flow_alg_type=2 has no CPU version", [](VideoInputArgs& a) {
    a.get_optical_flow = a.length_of = 1, a.flow_alg_type = 2;
  });
  refused("crop_size=8 is too small for flow_alg_type=3", [](VideoInputArgs& a) {
    a.get_optical_flow = a.length_of = 1, a.flow_alg_type = 3, a.crop_size = 8;
  });
  refused("get_optical_flow=1 with image_as_input=1", [](VideoInputArgs& a) {
    a.get_optical_flow = a.length_of = a.image_as_input = 1;
  });
  refused("length_rgb=8 with image_as_input=1", [](VideoInputArgs& a) { a.image_as_input = 1; });
  refused("shuffle=1 needs a seed", [](VideoInputArgs& a) { a.shuffle = 1; });
  refused("shuffle=2 must be one of [0, 1]", [](VideoInputArgs& a) { a.shuffle = 2; });
  refused("shard_count=2 needs a seed", [](VideoInputArgs& a) { a.shard_count = 2; });
  refused("shard_count=0 must be at least 1", [](VideoInputArgs& a) { a.shard_count = 0; });
  refused("shard_index=2 must be one of 0 to 1", [](VideoInputArgs& a) { a.shard_index = a.shard_count = 2; });
  refused("shard_index=-1 must be one of 0 to 0", [](VideoInputArgs& a) { a.shard_index = -1; });
  refused("first_position=-1 must be at least 0", [](VideoInputArgs& a) { a.first_position = -1; });
  refused("more than can be counted", [](VideoInputArgs& a) { a.first_position = int64_t{1} << 60; });
  refused("num_decode_threads=100000", [](VideoInputArgs& a) { a.num_decode_threads = 100000; });
  refused("more than a computer can store", [](VideoInputArgs& a) { a.batch_size = a.length_rgb = 2000000000; });
}

TEST(without_opencv_flow_and_images_are_refused_with_what_to_install) {
  for (const bool flow : {true, false}) {
    VideoInputArgs args = good();
    (flow ? args.get_optical_flow : args.image_as_input) = 1;
    args.length_of = args.length_rgb = 1;
    if (vmz::has_opencv()) {
      args.check();
    } else {
      CHECK_THROWS(RequestError, "needs OpenCV, and this library was built without; install", args.check());
    }
  }
}
