#include "core/database/record.h"

#include "check.h"
#include "core/common/errors.h"
#include "record_writer.h"

using vmz::BadRecord;
using vmz::Record;
using namespace wire;

namespace {

Record parsed(const std::string& value) {
  return vmz::parse_record(value.data(), value.size());
}

}  // namespace

TEST(a_whole_record) {
  const std::string value =
      string_tensor("video") + int32_tensor({3, 5}) + int32_tensor({-7}) + int64_tensor(1LL << 40);
  const Record record = parsed(value);
  CHECK_EQUAL(std::string(record.video, record.video_size), "video");
  CHECK((record.labels == std::vector<int32_t>{3, 5}));
  CHECK(record.has_start_frame && record.has_video_id);
  CHECK_EQUAL(record.start_frame, -7);
  CHECK_EQUAL(record.video_id, 1LL << 40);
}

TEST(tensors_are_told_by_their_types) {
  const std::string value = int64_tensor(9) + int32_tensor({1}) + string_tensor("v");  // an id and no start frame
  const Record record = parsed(value);
  CHECK(record.has_video_id && !record.has_start_frame);
  CHECK_EQUAL(record.video_id, 9);
}

TEST(packed_numbers_are_read_too) {
  const std::string packed = field(1, field(2, int64_t{2}) + field(4, varint(4) + varint(300)));
  const std::string value = string_tensor("v") + packed;
  CHECK((parsed(value).labels == std::vector<int32_t>{4, 300}));
}

TEST(unknown_fields_are_passed_over) {
  const std::string tensor = field(2, int64_t{2}) + field(99, "x") + field(4, int64_t{8}) + field(3, "\1\2\3\4");
  const std::string value = string_tensor("v") + field(1, tensor) + field(7, int64_t{1});
  CHECK((parsed(value).labels == std::vector<int32_t>{8}));
}

TEST(records_without_what_they_need) {
  CHECK_THROWS(BadRecord, "empty", parsed(""));
  CHECK_THROWS(BadRecord, "no label", parsed(string_tensor("v")));
  CHECK_THROWS(BadRecord, "no label", parsed(string_tensor("v") + int32_tensor({})));
  CHECK_THROWS(BadRecord, "no video", parsed(int32_tensor({1})));
  CHECK_THROWS(BadRecord, "no video", parsed(field(1, field(2, int64_t{4})) + int32_tensor({1})));
}

TEST(every_truncation_is_refused_or_lacks_a_tensor) {
  const std::string value = string_tensor(std::string(300, 'v')) + int32_tensor({3}) + int64_tensor(5);
  int without_id = 0;
  for (size_t size = 0; size < value.size(); ++size) {
    try {
      without_id += !vmz::parse_record(std::string(value, 0, size).c_str(), size).has_video_id;
    } catch (const BadRecord&) {
    }
  }
  CHECK_EQUAL(without_id, 1);  // the cut between the tensors
}

TEST(garbage_is_refused) {
  uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (int j = 0; j < 40; ++j) {
      state = state * 1664525u + 1013904223u;
      bytes += static_cast<char>(state >> 24);
    }
    CHECK_THROWS(BadRecord, "", parsed(bytes));
  }
}
