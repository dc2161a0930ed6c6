#include "core/clips.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "check.h"
#include "core/common/errors.h"
#include "make_video.h"

using namespace vmz;

namespace {

VideoInputArgs arguments(int decode_type = kUniform) {
  VideoInputArgs args;
  args.batch_size = 1;
  args.length_rgb = 4;
  args.crop_size = 32;
  args.scale_h = 32;
  args.scale_w = 40;
  args.decode_type = decode_type;
  args.random_crop = args.random_mirror = 0;
  return args;
}

std::vector<float> clips(
    const std::string& video, const VideoInputArgs& args, int64_t start_frame = 0, Random random = {1, 2, 3}) {
  std::vector<float> out(static_cast<size_t>(args.video_values()), NAN);
  VideoSource source;
  source.bytes = video.data();
  source.size = video.size();
  read_clips(source, start_frame, args, random, nullptr, out.data());
  for (float value : out) {
    CHECK(value == value);  // all places were written
  }
  return out;
}

// Frames that the clips took, from the first pixel of each.
std::vector<int> frames(
    const std::string& video, const VideoInputArgs& args, int64_t start_frame = 0, Random random = {1, 2, 3}) {
  const std::vector<float> values = clips(video, args, start_frame, random);
  const int64_t plane = int64_t{args.crop_size} * args.crop_size;
  std::vector<int> found;
  for (int64_t row = 0; row < args.rows(); ++row) {
    for (int64_t frame = 0; frame < args.length_rgb; ++frame) {
      found.push_back(made::frame_of(values[static_cast<size_t>(row * args.row_values() + frame * plane)]));
    }
  }
  return found;
}

using Frames = std::vector<int>;

}  // namespace

TEST(uniform_clips_of_containers_with_and_without_a_frame_count) {
  VideoInputArgs args = arguments();
  args.clip_per_video = 3;
  for (const char* container : {"mov", "matroska"}) {
    CHECK((frames(made::video(40, container), args) == Frames{0, 1, 2, 3, 18, 19, 20, 21, 36, 37, 38, 39}));
  }
}

TEST(strides_and_explicit_starts) {
  VideoInputArgs args = arguments();
  args.sampling_rate_rgb = 3;
  args.clip_start_positions = {20, 0};
  CHECK((frames(made::video(40), args) == Frames{20, 23, 26, 29, 0, 3, 6, 9}));
}

TEST(frames_at_a_rate_are_the_last_ones_shown_by_their_times) {
  VideoInputArgs args = arguments();
  args.fps = 10;
  for (const char* container : {"mov", "matroska"}) {
    const std::string video = made::video(40, container);
    args.clip_start_positions = {0, 12};
    CHECK((frames(video, args) == Frames{0, 2, 5, 7, 30, 32, 35, 37}));
    args.clip_start_positions = {13};
    CHECK_THROWS(
        BadRecord,
        "16 frames, but 17 are needed for --clip_length_rgb=4 --sampling_rate_rgb=1 --fps=10 (and 4 from frame 13 on)",
        frames(video, args));
  }
  args.clip_start_positions = {};
  args.clip_per_video = 3;  // of 16 frames at 0, 6 and 12
  CHECK((frames(made::video(40), args) == Frames{0, 2, 5, 7, 15, 17, 20, 22, 30, 32, 35, 37}));
  args.fps = 50;
  args.clip_start_positions = {0};
  CHECK((frames(made::video(40), args) == Frames{0, 0, 1, 1}));
  args.fps = 10;
  args.decode_type = kFromStartFrame;
  args.clip_start_positions = {};
  args.clip_per_video = 1;
  CHECK((frames(made::video(40), args, 5) == Frames{12, 15, 17, 20}));
  args.decode_type = kRandom;
  std::set<int> starts;
  for (uint64_t index = 0; index < 80; ++index) {
    starts.insert(frames(made::video(20), args, 0, {5, 0, index})[0]);  // 8 frames, of which 5 can be the first
  }
  CHECK((starts == std::set<int>{0, 2, 5, 7, 10}));
}

TEST(a_start_frame_is_met_with_and_without_times) {
  for (const char* container : {"mov", "matroska"}) {
    for (int start : {0, 1, 13, 36}) {
      const Frames wanted{start, start + 1, start + 2, start + 3};
      CHECK(frames(made::video(40, container), arguments(kFromStartFrame), start) == wanted);
    }
    CHECK_THROWS(
        BadRecord, "3 frames from its start frame on, but 4 are needed for --clip_length_rgb=4 --sampling_rate_rgb=1",
        frames(made::video(40), arguments(kFromStartFrame), 37));
  }
  VideoInputArgs faults = arguments(kFromStartFrame);
  faults.original_start_faults = 1;
  CHECK((frames(made::video(40, "matroska"), faults, 13) == Frames{0, 1, 2, 3}));
}

TEST(random_starts_cover_the_video_and_depend_on_the_numbers_drawn_only) {
  for (const char* container : {"mov", "matroska"}) {
    const std::string video = made::video(9, container);
    std::set<int> starts;
    for (uint64_t index = 0; index < 60; ++index) {
      const Frames found = frames(video, arguments(kRandom), 0, {5, 0, index});
      CHECK(found == frames(video, arguments(kRandom), 0, {5, 0, index}));
      CHECK_EQUAL(found[3] - found[0], 3);
      starts.insert(found[0]);
    }
    CHECK((starts == std::set<int>{0, 1, 2, 3, 4, 5}));
  }
}

TEST(random_strides_are_drawn_for_each_clip) {
  VideoInputArgs args = arguments();
  args.random_sampling_rate = 3;
  args.clip_per_video = 6;
  std::set<int> strides;
  const Frames found = frames(made::video(60), args);
  for (size_t clip = 0; clip < 6; ++clip) {
    strides.insert(found[clip * 4 + 1] - found[clip * 4]);
    CHECK_EQUAL(found[clip * 4 + 3] - found[clip * 4], 3 * (found[clip * 4 + 1] - found[clip * 4]));
  }
  CHECK(strides.size() > 1 && *strides.begin() >= 1 && *strides.rbegin() <= 3);
}

TEST(short_and_small_videos_are_refused_with_figures) {
  VideoInputArgs args = arguments();
  CHECK_THROWS(BadRecord, "3 frames, but 4 are needed", frames(made::video(3), args));
  CHECK_THROWS(BadRecord, "1 frame, but", frames(made::video(1), args));
  args.clip_start_positions = {0, 400};
  CHECK_THROWS(BadRecord, "40 frames, but 404 are needed", frames(made::video(40), args));
  args.clip_start_positions.clear();
  args.clip_per_video = 2;
  CHECK_THROWS(BadRecord, "3 frames, but 4", frames(made::video(3, "matroska"), args));
}

TEST(what_is_no_video_is_refused) {
  CHECK_THROWS(BadRecord, "it is empty", frames("", arguments()));
  CHECK_THROWS(BadRecord, "not a video", frames(std::string(5000, 'x'), arguments()));
  const std::string video = made::video(40);
  CHECK_THROWS(BadRecord, "not a video", frames(video.substr(0, video.size() / 2), arguments()));
  const std::string truncated = made::video(40, "matroska");
  CHECK_THROWS(BadRecord, "but 4 are needed", frames(truncated.substr(0, 700), arguments()));
}

TEST(paths) {
  char folder[] = "/tmp/vmz_clips_XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/clip.txt", pipe = std::string(folder) + "/pipe";
  std::ofstream(path, std::ios::binary) << made::video(10);
  CHECK_EQUAL(mkfifo(pipe.c_str(), 0600), 0);
  std::vector<float> out(static_cast<size_t>(arguments().video_values()));
  VideoSource source;
  const auto read = [&](const std::string& from) {
    source.path = from;
    read_clips(source, 0, arguments(), {1, 2, 3}, nullptr, out.data());
  };
  read(path);
  CHECK_EQUAL(made::frame_of(out[0]), 0);
  CHECK_THROWS(BadRecord, "cannot read the file (No such file", read(path + ".missing"));
  CHECK_THROWS(BadRecord, "not a regular file", read(folder));
  CHECK_THROWS(BadRecord, "not a regular file", read(pipe));
  CHECK_THROWS(BadRecord, "null byte", read(std::string("a\0b", 3)));
  std::remove(path.c_str());
  std::remove(pipe.c_str());
  rmdir(folder);
}

TEST(cancelled_reading_ends_soon) {
  const std::string video = made::video(40);
  Watch watch(0, std::make_shared<std::atomic<bool>>(true));
  std::vector<float> out(static_cast<size_t>(arguments().video_values()));
  VideoSource source;
  source.bytes = video.data();
  source.size = video.size();
  CHECK_THROWS(BadRecord, "", read_clips(source, 0, arguments(), {1, 2, 3}, &watch, out.data()));
}

TEST(damaged_videos_give_whole_clips_or_a_reason) {
  uint32_t state = 12345;
  const auto random = [&state] { return (state = state * 1664525u + 1013904223u) >> 8; };
  int read = 0, refused = 0;
  for (const char* container : {"mov", "matroska"}) {
    const std::string video = made::video(24, container);
    for (int i = 0; i < 90; ++i) {
      std::string damaged = video;
      for (uint32_t flips = 1 + random() % 20; flips > 0; --flips) {
        damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      }
      if (i % 3 == 0) {
        damaged.resize(random() % damaged.size());
      }
      VideoInputArgs args = arguments(static_cast<int>(random() % 3));
      args.clip_per_video = args.decode_type == kUniform ? 2 : 1;
      try {
        clips(damaged, args, random() % 20);
        ++read;
      } catch (const BadRecord&) {
        ++refused;
      }
    }
  }
  CHECK_EQUAL(read + refused, 180);
  CHECK(read > 20 && refused > 20);
}
