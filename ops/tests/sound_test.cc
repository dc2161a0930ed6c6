#include <cmath>
#include <vector>

#include "check.h"
#include "core/clips.h"
#include "core/common/errors.h"
#include "make_video.h"

using namespace vmz;

namespace {

constexpr int kLoudest = 13;  // of 40 filters, the one of 1000 Hz

VideoInputArgs arguments(int get_rgb = 1, int decode_type = kUniform) {
  VideoInputArgs args;
  args.is_av_input = true;
  args.batch_size = 1;
  args.length_rgb = 4;
  args.crop_size = 32;
  args.scale_h = 32;
  args.scale_w = 40;
  args.decode_type = decode_type;
  args.random_crop = args.random_mirror = 0;
  args.get_rgb = get_rgb;
  args.audio.get_logmels = 1;
  args.audio.align_audio = kNoAlignment;
  return args;
}

struct Clips {
  std::vector<float> data, logmels;
  Reading reading;

  // Rows in which the tone is the loudest.
  int rows_of_the_tone() const {
    int count = 0;
    for (size_t row = 0; row < logmels.size(); row += 40) {
      const auto begin = logmels.begin() + static_cast<ptrdiff_t>(row);
      count += std::max_element(begin, begin + 40) - begin == kLoudest && *(begin + kLoudest) > 20;
    }
    return count;
  }
};

Clips read(const std::string& file, const VideoInputArgs& args, int64_t start_frame = 0) {
  args.check();
  Clips clips;
  clips.data.assign(static_cast<size_t>(args.video_values()), NAN);
  clips.logmels.assign(static_cast<size_t>(args.logmel_video_values()), NAN);
  VideoSource source;
  source.bytes = file.data();
  source.size = file.size();
  clips.reading =
      read_clips(source, start_frame, args, {1, 2, 3}, nullptr, clips.data.data(), nullptr, clips.logmels.data());
  for (float value : clips.logmels) {
    CHECK(value >= 0 && value < 30);  // all places were written
  }
  return clips;
}

std::string with_sound(double seconds, const char* container = "mov", int rate = 16000, bool stereo = false) {
  return made::video(
      40, container, 64, 48,
      {seconds, rate, stereo, std::string(container) == "mov" ? AV_CODEC_ID_PCM_S16LE : AV_CODEC_ID_FLAC});
}

}  // namespace

TEST(pictures_and_sound_of_one_file) {
  VideoInputArgs args = arguments();
  for (const char* container : {"matroska", "mov"}) {
    const std::string file = with_sound(1.6, container);
    const Clips both = read(file, args);
    CHECK_EQUAL(both.rows_of_the_tone(), 100);
    CHECK_EQUAL(both.reading.without_sound, "");
    args.audio.get_logmels = 0;
    CHECK(both.data == read(file, args).data);
    args.audio.get_logmels = 1;
  }
}

TEST(sound_alone_is_that_beside_the_pictures) {
  const std::string file = with_sound(1.6, "mov");
  CHECK(read(file, arguments()).logmels == read(file, arguments(0)).logmels);
  VideoInputArgs args = arguments(0);
  args.crop_size = args.scale_h = args.scale_w = args.length_rgb = 0;  // nobody asks for pictures
  CHECK_EQUAL(read(file, args).rows_of_the_tone(), 100);
}

TEST(other_rates_and_channels) {
  const std::vector<float> mono = read(with_sound(1.6, "mov"), arguments()).logmels;
  for (int rate : {8000, 22050, 44100, 48000, 96000}) {
    CHECK_EQUAL(read(with_sound(1.6, "mov", rate), arguments()).rows_of_the_tone(), 100);
  }
  const std::vector<float> stereo = read(with_sound(1.6, "mov", 16000, true), arguments()).logmels;
  // 0.7071 (L + R): 3 dB more
  CHECK(std::fabs(stereo[40 * 50 + kLoudest] - mono[40 * 50 + kLoudest] - std::log(2.0f)) < 1e-3f);
}

TEST(short_sound_is_followed_by_zeros_and_not_missing) {
  const Clips clips = read(with_sound(0.5, "mov"), arguments());
  CHECK_EQUAL(clips.rows_of_the_tone(), 49);
  CHECK_EQUAL(clips.logmels[40 * 60], 0.0f);
  CHECK_EQUAL(clips.reading.without_sound, "");
}

TEST(no_sound_gives_zeros_and_a_reason_or_an_error) {
  for (int get_rgb : {0, 1}) {
    VideoInputArgs args = arguments(get_rgb);
    const Clips clips = read(made::video(40), args);
    CHECK_EQUAL(clips.reading.without_sound, "it has no audio stream");
    for (float value : clips.logmels) {
      CHECK_EQUAL(value, 0.0f);
    }
    for (const char* wish : {"stop", "skip"}) {
      args.audio.on_missing_audio = wish;
      CHECK_THROWS(MissingSound, "it has no audio stream", read(made::video(40), args));
    }
  }
}

TEST(an_empty_track_is_missing_sound) {
  const std::string file = with_sound(1e-9, "matroska");  // a track without one sample
  for (int get_rgb : {0, 1}) {
    const Clips clips = read(file, arguments(get_rgb));
    CHECK_EQUAL(clips.reading.without_sound, "its audio stream is empty");
  }
}

TEST(clips_from_a_start_frame) {
  VideoInputArgs args = arguments(1, kFromStartFrame);
  args.audio.align_audio = kStretched;
  for (int64_t start : {0, 20, 35}) {
    for (int faults : {0, 1}) {
      args.original_start_faults = faults;
      const Clips clips = read(with_sound(1.6, "mov"), args, start);
      CHECK_EQUAL(made::frame_of(clips.data[0]), static_cast<int>(start));
      CHECK(clips.rows_of_the_tone() > 50);
    }
  }
  CHECK_THROWS(BadRecord, "from its start frame on", read(with_sound(1.6, "mov"), args, 39));
}

TEST(timestamps_tell_where_the_sound_of_a_clip_is) {
  VideoInputArgs args = arguments(1, kFromStartFrame);
  args.audio.audio_timestamps = 1;
  args.audio.logmel_frames = 20;
  // The sound ends after 0.8 s, at frame 20
  const std::string file = with_sound(0.8, "mov");
  for (int get_rgb : {0, 1}) {
    args.get_rgb = get_rgb;
    CHECK_EQUAL(read(file, args, 5).rows_of_the_tone(), 20);
    CHECK_EQUAL(read(file, args, 17).rows_of_the_tone(), get_rgb ? 12 : 11);
    CHECK_EQUAL(read(file, args, 34).rows_of_the_tone(), 0);
  }
}

TEST(random_clips_hear_the_same_each_time) {
  for (int get_rgb : {0, 1}) {
    const VideoInputArgs args = arguments(get_rgb, kRandom);
    const std::string file = with_sound(1.6, "mov");
    CHECK(read(file, args).logmels == read(file, args).logmels);
    CHECK(read(file, args).rows_of_the_tone() > 0);
  }
}

TEST(sound_alone_has_no_start_frame) {
  const std::string tone = made::video(0, "matroska", 64, 48, {1.0, 16000, false, AV_CODEC_ID_FLAC});
  CHECK_THROWS(BadRecord, "5 frames", read(made::video(5), [] {
                 VideoInputArgs args = arguments();
                 args.length_rgb = 8;
                 return args;
               }()));
  CHECK_EQUAL(read(tone, arguments(0)).rows_of_the_tone(), 99);
}
