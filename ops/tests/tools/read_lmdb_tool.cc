// read_lmdb_tool FILE...: reads every record of these LMDB data files; a line each on what came of it. For sanitizers.
#include <cstdio>
#include <exception>

#include "core/database/lmdb_file.h"

int main(int count, char** paths) {
  for (int i = 1; i < count; ++i) {
    try {
      const vmz::LmdbFile file(paths[i]);
      size_t bytes = 0;
      for (size_t record = 0; record < file.keys().size(); ++record) {
        bytes += file.value(record).size();
      }
      std::printf("%s: %zu records, %zu bytes\n", paths[i], file.keys().size(), bytes);
    } catch (const std::exception& error) {
      std::printf("%s\n", error.what());
    }
  }
  return 0;
}
