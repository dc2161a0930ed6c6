#include "core/reader.h"

#include <algorithm>

#include "check.h"
#include "core/common/errors.h"
#include "core/common/text.h"
#include "make_video.h"
#include "record_writer.h"

using namespace vmz;

namespace {

// Records of a list, over and over or once.
class ListSource : public RecordSource {
 public:
  ListSource(std::vector<std::string> values, bool once) : values_(std::move(values)), once_(once) {}

  bool next(RawRecord* record) override {
    if (at_ == size()) {
      if (once_) {
        return false;
      }
      at_ = 0;
      ++turn_;
    }
    *record = {turn_, at_, "key" + std::to_string(at_), values_[static_cast<size_t>(at_)]};
    ++at_;
    return true;
  }

  int64_t size() const override {
    return static_cast<int64_t>(values_.size());
  }

 private:
  std::vector<std::string> values_;
  bool once_;
  int64_t at_ = 0, turn_ = 0;
};

VideoInputArgs arguments(int batch_size, const char* on_bad_video = "stop", int wrap_around = 0) {
  VideoInputArgs args;
  args.batch_size = batch_size;
  args.length_rgb = 4;
  args.crop_size = 32;
  args.scale_h = 32;
  args.scale_w = 40;
  args.on_bad_video = on_bad_video;
  args.wrap_around = wrap_around;
  args.seed = 7;
  return args;
}

std::string record(int frames, int label) {
  return wire::string_tensor(made::video(frames)) + wire::int32_tensor({label});
}

std::unique_ptr<RecordSource> list(std::vector<std::string> values, bool once = true) {
  return std::unique_ptr<RecordSource>(new ListSource(std::move(values), once));
}

std::vector<std::string> five_with_bad_ones() {
  return {
      record(9, 10), record(2, 11), record(9, 12), wire::string_tensor("no video") + wire::int32_tensor({13}),
      record(9, 14)};
}

std::string labels(const std::vector<VideoClips>& videos) {
  std::string text;
  for (const VideoClips& video : videos) {
    text += std::to_string(video.labels[0]) + "@" + std::to_string(video.index) + " ";
  }
  return text;
}

}  // namespace

TEST(one_pass_with_a_short_last_batch) {
  BatchReader reader(arguments(2), list({record(9, 0), record(9, 1), record(9, 2)}));
  CHECK_EQUAL(labels(reader.next()), "0@0 1@1 ");
  CHECK_EQUAL(labels(reader.next()), "2@2 ");
  for (int again = 0; again < 3; ++again) {
    CHECK_THROWS(EndOfData, "EndOfData: all 3 records", reader.next());
  }
}

TEST(passes_follow_each_other) {
  BatchReader reader(arguments(2, "stop", 1), list({record(9, 0), record(9, 1), record(9, 2)}, false));
  CHECK_EQUAL(labels(reader.next()), "0@0 1@1 ");
  CHECK_EQUAL(labels(reader.next()), "2@2 0@0 ");
  CHECK_EQUAL(labels(reader.next()), "1@1 2@2 ");
}

TEST(bad_records_are_left_out_and_listed) {
  BatchReader reader(arguments(2, "skip"), list(five_with_bad_ones()));
  CHECK_EQUAL(labels(reader.next()), "10@0 12@2 ");
  CHECK_EQUAL(labels(reader.next()), "14@4 ");
  CHECK_THROWS(EndOfData, "", reader.next());
  CHECK_EQUAL(reader.skipped().size(), size_t{2});
  CHECK_EQUAL(reader.skipped()[0].key, "key1");
  CHECK(check::contains(reader.skipped()[0].reason, "2 frames, but 4 are needed"));
  CHECK(check::contains(reader.skipped()[1].reason, "not a video"));
}

TEST(the_position_counts_what_was_left_out) {
  BatchReader reader(arguments(2, "skip", 1), list(five_with_bad_ones(), false));
  CHECK_EQUAL(reader.position(), 0);
  for (const int64_t position : {3, 6, 10}) {
    reader.next();
    CHECK_EQUAL(reader.position(), position);
  }
  VideoInputArgs later = arguments(2);
  later.first_position = 40;
  BatchReader second(later, list(five_with_bad_ones()));
  CHECK_THROWS(BadVideoError, "record key1", second.next());
  CHECK_EQUAL(second.position(), 40);
}

TEST(bad_records_are_listed_once_however_often_they_come_by) {
  BatchReader reader(arguments(3, "skip", 1), list(five_with_bad_ones(), false));
  for (int batch = 0; batch < 6; ++batch) {
    CHECK_EQUAL(labels(reader.next()), "10@0 12@2 14@4 ");
  }
  CHECK_EQUAL(reader.skipped().size(), size_t{2});
}

TEST(a_bad_record_stops_the_reader_for_good) {
  BatchReader reader(arguments(1), list(five_with_bad_ones()));
  CHECK_EQUAL(labels(reader.next()), "10@0 ");
  for (int again = 0; again < 3; ++again) {
    CHECK_THROWS(BadVideoError, "record key1: 2 frames, but 4 are needed", reader.next());
  }
  CHECK_EQUAL(reader.skipped().size(), size_t{1});
}

TEST(a_database_of_bad_records_only) {
  for (int wrap_around : {0, 1}) {
    BatchReader reader(arguments(2, "skip", wrap_around), list({record(1, 0), record(2, 1)}, !wrap_around));
    CHECK_THROWS(BadVideoError, "no video of the database can be read; the last one is record key1", reader.next());
    CHECK_EQUAL(reader.skipped().size(), size_t{2});
  }
}

TEST(keys_and_paths_are_text) {
  CHECK_EQUAL(printable_key(std::string("a\0\xc3\xad", 4)), "a\\x00\\xc3\\xad");
  CHECK_EQUAL(printable("v\xc3\xad\xff\n\xe2\x82.mp4"), "v\xc3\xad\\xff\\x0a\\xe2\\x82.mp4");
  CHECK_EQUAL(printable("\xc0\x80\xed\xa0\x80\xf5"), "\\xc0\\x80\\xed\\xa0\\x80\\xf5");
  CHECK_EQUAL(shown_path(std::string(400, 'a')), std::string(300, 'a') + "...");
  CHECK_EQUAL(record_name("29", "a.mp4"), "record 29 (a.mp4)");
}

TEST(videos_that_end_early_are_listed_once) {
  std::string cut = made::video(40, "matroska");
  cut.resize(cut.size() * 2 / 3);
  const auto label = wire::int32_tensor({1});
  VideoInputArgs args = arguments(1, "stop", 1);
  args.decode_type = kUniform;
  args.clip_per_video = 3;
  BatchReader reader(args, list({record(40, 0), wire::string_tensor(cut) + label}, false));
  for (int batch = 0; batch < 4; ++batch) {
    CHECK_EQUAL(reader.next().size(), size_t{1});
  }
  CHECK_EQUAL(reader.ended_early().size(), size_t{1});
  const EndedEarly& ended = reader.ended_early()[0];
  CHECK_EQUAL(ended.key, "key1");
  CHECK_EQUAL(ended.reason, "the file is truncated");
  CHECK(ended.frames >= 4 && ended.frames < 40);
  args.clip_per_video = 1;  // the first frames of each: they say nothing of the rest
  BatchReader first(args, list({wire::string_tensor(cut) + label}, false));
  first.next();
  CHECK(first.ended_early().empty());
}

TEST(paths_and_bytes_are_told_apart) {
  const auto label = wire::int32_tensor({1});
  VideoInputArgs args = arguments(1);
  CHECK_THROWS(
      BadVideoError, "key0: it contains a path, a/b.mp4, not the bytes of a video; give --use_local_file=1",
      BatchReader(args, list({wire::string_tensor("a/b.mp4") + label})).next());
  CHECK_THROWS(
      BadVideoError, "not a video that can be opened",
      BatchReader(args, list({wire::string_tensor("<html>/a</html>") + label})).next());
  args.use_local_file = 1;
  CHECK_THROWS(
      BadVideoError, "key0: it contains the bytes of a video, not a path; give --use_local_file=0",
      BatchReader(args, list({record(9, 1)})).next());
  CHECK_THROWS(
      BadVideoError, "key0 (gone.mp4): cannot read the file (No such file or directory): looked for /",
      BatchReader(args, list({wire::string_tensor("gone.mp4") + label})).next());
}

TEST(what_a_whole_database_lacks_is_never_skipped) {
  VideoInputArgs args = arguments(1, "skip");
  args.get_video_id = 1;
  CHECK_THROWS(RequestError, "record key0 has no video id", BatchReader(args, list({record(9, 0)})).next());
  args = arguments(1, "skip");
  args.decode_type = kFromStartFrame;
  CHECK_THROWS(RequestError, "has no start frame", BatchReader(args, list({record(9, 0)})).next());
  args = arguments(1, "skip");
  args.do_multi_label = 1;
  args.num_of_class = 10;
  CHECK_THROWS(RequestError, "has the labels 50", BatchReader(args, list({record(9, 50)})).next());
  CHECK_THROWS(RequestError, "has the labels -1", BatchReader(args, list({record(9, -1)})).next());
  CHECK_THROWS(RequestError, "batch_size=0", BatchReader(arguments(0), list({})));
}

TEST(a_source_that_fails_stops_the_reader) {
  struct Failing : RecordSource {
    bool next(RawRecord*) override {
      throw std::runtime_error("the disk is gone");
    }
    int64_t size() const override {
      return 0;
    }
  };
  BatchReader reader(arguments(1), std::unique_ptr<RecordSource>(new Failing()));
  CHECK_THROWS(std::runtime_error, "the disk is gone", reader.next());
  CHECK_THROWS(std::runtime_error, "the disk is gone", reader.next());
}

TEST(the_seed_decides_and_the_threads_do_not) {
  const auto read = [](int64_t seed, int threads) {
    VideoInputArgs args = arguments(2, "stop", 1);
    args.seed = seed;
    args.num_decode_threads = threads;
    BatchReader reader(args, list({record(30, 0), record(30, 1), record(30, 2)}, false));
    std::vector<float> all;
    for (int batch = 0; batch < 6; ++batch) {
      const std::vector<VideoClips> videos = reader.next();
      std::vector<float> data(static_cast<size_t>(args.video_values() * 2));
      copy_clips(videos, &VideoClips::data, args.video_values(), data.data());
      all.insert(all.end(), data.begin(), data.end());
    }
    return all;
  };
  const std::vector<float> one = read(7, 1);
  CHECK(one == read(7, 4));
  CHECK(one != read(8, 1));
  CHECK(read(0, 1) != read(0, 1));
  const size_t pass = one.size() / 4;
  const auto second = one.begin() + static_cast<ptrdiff_t>(pass);
  CHECK(!std::equal(one.begin(), second, second));
}

TEST(readers_may_be_dropped_while_they_decode) {
  for (int i = 0; i < 20; ++i) {
    BatchReader reader(arguments(2, "stop", 1), list({record(60, 0), record(60, 1)}, false));
    if (i % 2) {
      reader.next();
    }
  }
}

TEST(labels_are_repeated_for_every_row) {
  VideoInputArgs args = arguments(2);
  args.decode_type = kUniform;
  args.clip_per_video = 2;
  VideoClips one, two;
  one.labels = {3};
  two.labels = {1, 2};
  std::vector<int32_t> out(4);
  copy_labels({one, two}, args, out.data());
  CHECK((out == std::vector<int32_t>{3, 3, 1, 1}));
  args.do_multi_label = 1;
  args.num_of_class = 4;
  out.resize(16);
  copy_labels({one, two}, args, out.data());
  CHECK((out == std::vector<int32_t>{0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0}));
}

namespace {

VideoInputArgs with_sound(VideoInputArgs args, const char* on_missing_audio = "zeros") {
  args.is_av_input = true;
  args.audio.get_logmels = 1;
  args.audio.logmel_frames = 20;
  args.audio.on_missing_audio = on_missing_audio;
  args.num_decode_threads = 4;
  return args;
}

// Videos of a second's tone, but for number 1 and 4, which are silent.
std::vector<std::string> two_without_sound() {
  std::vector<std::string> records;
  for (int label = 0; label < 6; ++label) {
    const double seconds = label % 3 == 1 ? 0 : 1;
    const made::Tone tone{seconds, 16000, false, AV_CODEC_ID_PCM_S16LE};
    records.push_back(wire::string_tensor(made::video(25, "mov", 64, 48, tone)) + wire::int32_tensor({label}));
  }
  return records;
}

bool is_silent(const VideoClips& video, const VideoInputArgs& args) {
  const float* values = video.logmels.get();
  return std::all_of(values, values + args.logmel_video_values(), [](float value) { return value == 0; });
}

}  // namespace

TEST(log_mels_are_those_of_the_batchs_own_videos) {
  const VideoInputArgs args = with_sound(arguments(4, "stop", 1));
  BatchReader reader(args, list(two_without_sound(), false));
  for (int batch = 0; batch < 12; ++batch) {
    const std::vector<VideoClips> videos = reader.next();
    CHECK_EQUAL(videos.size(), size_t{4});
    for (const VideoClips& video : videos) {
      CHECK_EQUAL(is_silent(video, args), video.index % 3 == 1);
    }
    CHECK(in_place(videos, &VideoClips::logmels, args.logmel_video_values()) != nullptr);
  }
  CHECK_EQUAL(reader.without_sound().size(), size_t{2});  // once each
  CHECK_EQUAL(reader.without_sound()[1].key, "key4");
  CHECK_EQUAL(reader.without_sound()[1].reason, "it has no audio stream");
  CHECK(reader.skipped().empty());
}

TEST(videos_without_sound_are_left_out_or_an_error_by_a_wish_of_their_own) {
  BatchReader skips(with_sound(arguments(6), "skip"), list(two_without_sound()));
  CHECK_EQUAL(labels(skips.next()), "0@0 2@2 3@3 5@5 ");
  CHECK_EQUAL(skips.skipped().size(), size_t{2});
  CHECK(skips.without_sound().empty());
  BatchReader stops(with_sound(arguments(1, "skip"), "stop"), list(two_without_sound()));
  CHECK_EQUAL(labels(stops.next()), "0@0 ");
  for (int again = 0; again < 2; ++again) {
    CHECK_THROWS(BadVideoError, "record key1: it has no audio stream; have it give zeros with", stops.next());
  }
}
