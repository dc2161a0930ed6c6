#include "core/sampling.h"

#include "check.h"
#include "core/common/random.h"

using vmz::Size;
using vmz::VideoInputArgs;

TEST(frames_needed_is_the_largest_of_the_strides) {
  VideoInputArgs args;
  args.length_rgb = 8;
  CHECK_EQUAL(vmz::frames_needed(args), 8);
  args.sampling_rate_rgb = 2;
  CHECK_EQUAL(vmz::frames_needed(args), 15);
  args.random_sampling_rate = 3;
  CHECK_EQUAL(vmz::frames_needed(args), 22);
  args.length_of = 100;  // without get_optical_flow it does not count
  CHECK_EQUAL(vmz::frames_needed(args), 22);
}

TEST(uniform_starts_reach_from_the_start_to_the_end) {
  CHECK((vmz::uniform_starts(100, 8, 1) == std::vector<int64_t>{0}));
  CHECK((vmz::uniform_starts(100, 8, 3) == std::vector<int64_t>{0, 46, 92}));
  CHECK((vmz::uniform_starts(8, 8, 3) == std::vector<int64_t>{0, 0, 0}));
  const auto starts = vmz::uniform_starts(250, 32, 10);
  CHECK_EQUAL(starts.back(), 218);
}

TEST(timestamps_are_integers_as_in_the_original) {
  CHECK_EQUAL(vmz::start_timestamp(128000, 250, 3), 1536);
  CHECK_EQUAL(vmz::start_timestamp(1001, 30, 1), 33);
  CHECK_EQUAL(vmz::start_timestamp(1001, 30, -1), -33);  // towards zero
  CHECK_EQUAL(vmz::latest_start(1000, 30, 8), 733);      // 1000 - ceil(266.67)
  CHECK_EQUAL(vmz::latest_start(1000, 5, 8), 0);
  CHECK_EQUAL(vmz::seek_timestamp(1000, 30, 500), 167);
  CHECK_EQUAL(vmz::seek_timestamp(1000, 30, 100), 0);
}

TEST(absurd_durations_do_not_overflow) {
  const int64_t most = INT64_MAX;
  CHECK_EQUAL(vmz::start_timestamp(most, 1, most), most);
  CHECK_EQUAL(vmz::start_timestamp(most, 1, -most), -most);
  CHECK_EQUAL(vmz::latest_start(most, 1, most), 0);
  CHECK_EQUAL(vmz::seek_timestamp(most, 1, -most), 0);
}

TEST(sizes_with_a_short_edge) {
  const auto scaled = [](int64_t width, int64_t height, int64_t edge) {
    const Size size = vmz::scale_short_edge({width, height}, edge);
    return std::to_string(size.width) + "x" + std::to_string(size.height);
  };
  CHECK_EQUAL(scaled(340, 256, 128), "170x128");
  CHECK_EQUAL(scaled(256, 340, 128), "128x170");
  CHECK_EQUAL(scaled(1280, 720, 256), "455x256");
  CHECK_EQUAL(scaled(640, 272, 128), "301x128");
  CHECK_EQUAL(scaled(100, 100, 128), "128x128");
}

TEST(output_sizes_by_type) {
  VideoInputArgs args;
  args.crop_size = 112;
  args.scale_w = 171;
  args.scale_h = 128;
  const auto size = [&args](int type) {
    args.video_res_type = type;
    const Size out = vmz::output_size(args, {340, 100}, 128);
    return std::to_string(out.width) + "x" + std::to_string(out.height);
  };
  CHECK_EQUAL(size(0), "171x128");
  CHECK_EQUAL(size(1), "435x128");
  CHECK_EQUAL(size(2), "381x112");  // a side is below the crop
}

TEST(crops_lie_at_the_originals_places) {
  const auto places = [](Size size, int64_t crops) {
    std::string text;
    for (const vmz::Offset& at : vmz::crop_offsets(size, 112, crops)) {
      text += "(" + std::to_string(at.top) + "," + std::to_string(at.left) + ")";
    }
    return text;
  };
  CHECK_EQUAL(places({171, 128}, 1), "(8,29)");
  CHECK_EQUAL(places({171, 128}, 3), "(8,0)(8,29)(8,59)");
  CHECK_EQUAL(places({128, 171}, 3), "(0,8)(29,8)(59,8)");
}

TEST(random_numbers_depend_on_seed_turn_and_index) {
  CHECK_EQUAL(vmz::Random(1, 2, 3).uniform(), vmz::Random(1, 2, 3).uniform());
  CHECK(vmz::Random(1, 2, 3).uniform() != vmz::Random(2, 2, 3).uniform());
  CHECK(vmz::Random(1, 2, 3).uniform() != vmz::Random(1, 3, 2).uniform());
  int counts[17] = {};
  double sum = 0;
  for (int i = 0; i < 17000; ++i) {
    vmz::Random random(7, 0, static_cast<uint64_t>(i));
    ++counts[random.below(17)];
    sum += random.uniform();
  }
  for (int count : counts) {  // expected 1000 with a standard deviation of 31
    CHECK(count > 850 && count < 1150);
  }
  CHECK(sum / 17000 > 0.49 && sum / 17000 < 0.51);
}
