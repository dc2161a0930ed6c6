#include "core/audio/alignment.h"

#include <vector>

#include "check.h"

using namespace vmz;

namespace {

// Rows of one column that hold their number.
LogMels numbered(int rows) {
  LogMels made;
  made.columns = 1;
  for (int row = 0; row < rows; ++row) {
    made.values.push_back(static_cast<float>(row + 1));
  }
  return made;
}

VideoInputArgs arguments(int align, int wanted, int clips = 1, int decode_type = kUniform) {
  VideoInputArgs args;
  args.is_av_input = true;
  args.decode_type = decode_type;
  args.clip_per_video = clips;
  args.length_rgb = 8;
  args.audio.get_logmels = 1;
  args.audio.logmel_frames = wanted;
  args.audio.logmel_filters = 1;
  args.audio.align_audio = align;
  return args;
}

using Rows = std::vector<float>;

Rows written(int rows, const VideoInputArgs& args, Aligned by) {
  Rows out(static_cast<size_t>(args.logmel_video_values()), NAN);
  write_log_mels(numbered(rows), args, by, out.data());
  return out;
}

}  // namespace

TEST(without_alignment_clips_are_spread_over_the_rows) {
  CHECK((written(10, arguments(0, 3), {100, 8, 0}) == Rows{1, 2, 3}));
  CHECK((written(10, arguments(0, 3, 3), {100, 8, 0}) == Rows{1, 2, 3, 4, 5, 6, 8, 9, 10}));
  CHECK((written(10, arguments(1, 3), {0, 8, 0}) == Rows{1, 2, 3}));  // no stated number of frames
}

TEST(short_sound_is_followed_by_zeros) {
  CHECK((written(2, arguments(0, 4), {100, 8, 0}) == Rows{1, 2, 0, 0}));
  CHECK((written(0, arguments(1, 2, 2), {100, 8, 0}) == Rows{0, 0, 0, 0}));
}

TEST(rows_are_stretched_so_that_a_clip_covers_its_frames) {
  // 16 frames of which a clip needs 8, 4 rows for it: 8 rows of 4, between them linearly
  CHECK((written(4, arguments(1, 4), {16, 8, 0}) == Rows{1, 1.25f, 1.75f, 2.25f}));
  CHECK((written(4, arguments(1, 4, 2), {16, 8, 0}) == Rows{1, 1.25f, 1.75f, 2.25f, 2.75f, 3.25f, 3.75f, 4}));
  // Fewer rows than there are: every other one
  CHECK((written(16, arguments(1, 4), {16, 8, 0}) == Rows{1, 3, 5, 7}));
}

TEST(a_clip_from_a_start_frame_takes_the_rows_of_its_frames) {
  CHECK((written(16, arguments(1, 4, 1, kFromStartFrame), {16, 8, 8}) == Rows{9, 11, 13, 15}));
  CHECK((written(16, arguments(1, 4, 1, kFromStartFrame), {16, 8, 14}) == Rows{15, 0, 0, 0}));
  CHECK((written(16, arguments(2, 4, 1, kFromStartFrame), {16, 8, 8}) == Rows{9, 10, 11, 12}));
  CHECK((written(16, arguments(3, 4, 1, kFromStartFrame), {16, 8, 4}) == Rows{7, 8, 9, 10}));
  CHECK((written(16, arguments(3, 4, 1, kFromStartFrame), {16, 8, 0}) == Rows{3, 4, 5, 6}));
}

TEST(rows_that_cover_a_number_of_frames) {
  VideoInputArgs args = arguments(2, 4);
  args.audio.audio_length = 4;
  CHECK((written(16, args, {16, 8, 0}) == Rows{1, 2, 3, 4}));
  args.decode_type = kFromStartFrame;
  CHECK((written(16, args, {16, 8, 8}) == Rows{9, 10, 11, 12}));
  args.audio.align_audio = kCentred;  // frames 10 to 13, in the middle of 8 to 15
  CHECK((written(16, args, {16, 8, 8}) == Rows{11, 12, 13, 14}));
}

TEST(centred_clips_of_several) {
  // p = 4 - 16 * 8 / 16 = -4: the clips lie where their frames' middles are, the last one at the end
  CHECK((written(16, arguments(3, 4, 2), {16, 8, 0}) == Rows{3, 4, 5, 6, 11, 12, 13, 14}));
}

TEST(a_damaged_number_of_frames_takes_no_memory_and_no_time) {
  const int64_t absurd = INT64_MAX;
  for (int align : {0, 1, 2, 3}) {
    for (int decode_type : {kUniform, kFromStartFrame}) {
      for (int64_t needed : {int64_t{1}, absurd}) {
        for (float value : written(16, arguments(align, 4, 1, decode_type), {absurd, needed, absurd})) {
          CHECK(value >= 0 && value <= 16);
        }
      }
    }
  }
}
