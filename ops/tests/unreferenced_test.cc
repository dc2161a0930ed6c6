#include "core/decoding/unreferenced.h"

#include <string>

#include "check.h"

using namespace vmz;

namespace {

const std::string kSlice = "\x01\x9a", kReferred = "\x41\x9a", kKey = "\x65\x88", kSupplement = "\x06\x05";
const std::string kLater = "\x01\x4a";  // a slice that does not begin a picture

std::string unit(const std::string& content) {
  return std::string(3, '\0') + static_cast<char>(content.size()) + content;
}

bool unreferenced(const std::string& packet) {
  return is_unreferenced(reinterpret_cast<const uint8_t*>(packet.data()), static_cast<int64_t>(packet.size()), 4);
}

}  // namespace

TEST(only_whole_slices_that_nothing_refers_to_are_unreferenced) {
  CHECK(unreferenced(unit(kSlice)));
  CHECK(unreferenced(unit(kSupplement) + unit(kSlice) + unit(kLater)));
  CHECK(!unreferenced(unit(kReferred)));
  CHECK(!unreferenced(unit(kSlice) + unit(kReferred)));
  CHECK(!unreferenced(unit(kKey)));
  CHECK(!unreferenced(unit("\x67\x64") + unit(kSlice)));
  CHECK(!unreferenced(unit(kLater)));
  CHECK(!unreferenced(unit(kSupplement)));
}

TEST(damaged_packets_are_not_unreferenced) {
  const std::string whole = unit(kSlice);
  CHECK(!unreferenced(whole + '\0'));
  CHECK(!unreferenced(whole.substr(0, 5)));
  CHECK(!unreferenced(std::string("\xff\xff\xff\xff") + kSlice));
  CHECK(!unreferenced(unit("\x81\x9a")));
  CHECK(!unreferenced(""));
}
