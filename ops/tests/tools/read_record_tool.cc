// read_record_tool FILE...: parses the value of a database record in each file, and touches all that it points at; a
// line each on what came of it. For sanitizers.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <numeric>
#include <vector>

#include "core/database/record.h"

int main(int count, char** paths) {
  int read = 0, refused = 0;
  for (int i = 1; i < count; ++i) {
    std::ifstream file(paths[i], std::ios::binary);
    const std::vector<char> value((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    try {
      const vmz::Record record = vmz::parse_record(value.data(), value.size());
      const unsigned sum = std::accumulate(record.video, record.video + record.video_size, 0u);
      std::printf(
          "%s: %zu bytes of video (sum %u), %zu labels\n", paths[i], record.video_size, sum, record.labels.size());
      ++read;
    } catch (const std::exception& error) {
      std::printf("%s: %s\n", paths[i], error.what());
      ++refused;
    }
  }
  std::printf("%d read, %d refused\n", read, refused);
  return read + refused == count - 1 ? 0 : 1;
}
