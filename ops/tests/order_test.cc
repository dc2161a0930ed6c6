#include "core/database/order.h"

#include <algorithm>
#include <set>
#include <string>

#include "check.h"

using namespace vmz;

namespace {

VideoInputArgs arguments(int batch_size, int shard_index = 0, int shard_count = 1, int shuffle = 0) {
  VideoInputArgs args;
  args.batch_size = batch_size;
  args.shard_index = shard_index;
  args.shard_count = shard_count;
  args.shuffle = shuffle;
  args.seed = 7;
  return args;
}

std::string text(const std::vector<int64_t>& numbers) {
  std::string all;
  for (const int64_t number : numbers) {
    all += std::to_string(number) + " ";
  }
  return all;
}

// "turn:record" of the first positions, to the end with wrap_around=0.
std::string places(int64_t records, const VideoInputArgs& args, int64_t from, int64_t count) {
  ReadingOrder order(records, args);
  std::string all;
  ReadingOrder::Place place;
  for (int64_t position = from; position < from + count && order.at(position, &place); ++position) {
    all += std::to_string(place.turn) + ":" + std::to_string(place.record) + " ";
  }
  return all;
}

}  // namespace

TEST(one_reader_goes_round) {
  CHECK_EQUAL(places(3, arguments(2), 0, 7), "0:0 0:1 0:2 1:0 1:1 1:2 2:0 ");
  CHECK_EQUAL(places(3, arguments(2), 5, 2), "1:2 2:0 ");
}

TEST(shards_take_neighbours_of_each_global_batch) {
  CHECK_EQUAL(places(7, arguments(2, 0, 2), 0, 6), "0:0 0:1 0:4 0:5 1:1 1:2 ");
  CHECK_EQUAL(places(7, arguments(2, 1, 2), 0, 6), "0:2 0:3 0:6 1:0 1:3 1:4 ");
  CHECK_EQUAL(places(2, arguments(1, 3, 4), 0, 2), "1:1 3:1 ");
}

TEST(one_turn_ends_with_the_last_record) {
  VideoInputArgs args = arguments(2, 1, 2);
  args.wrap_around = 0;
  CHECK_EQUAL(places(7, args, 0, 100), "0:2 0:3 0:6 ");
  CHECK_EQUAL(places(7, args, 2, 100), "0:6 ");
  CHECK_EQUAL(places(2, args, 0, 100), "");
}

// The figures are those of tests/video/database/test_reading_order.py.
TEST(shuffled_turns_are_those_of_the_python_reader) {
  CHECK_EQUAL(text(permutation(7, 0, 10)), "5 3 6 4 7 9 8 2 1 0 ");
  CHECK_EQUAL(text(permutation(7, 1, 10)), "5 3 2 7 1 4 6 8 0 9 ");
  CHECK_EQUAL(text(permutation(uint64_t{1} << 62, int64_t{1} << 40, 5)), "2 4 1 3 0 ");
  CHECK_EQUAL(places(3, arguments(2, 0, 1, 1), 0, 6), "0:2 0:1 0:0 1:2 1:1 1:0 ");
}

TEST(a_shuffled_turn_holds_every_record_once) {
  const std::vector<int64_t> order = permutation(3, 5, 1000);
  CHECK_EQUAL(std::set<int64_t>(order.begin(), order.end()).size(), size_t{1000});
  CHECK(!std::is_sorted(order.begin(), order.end()));
}
