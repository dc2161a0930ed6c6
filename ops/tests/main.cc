// Runs every test, or those whose names hold the word given.
#include "check.h"
#include "core/common/libav.h"

int main(int count, char** words) {
  av_log_set_level(AV_LOG_QUIET);
  int failed = 0, run = 0;
  for (const check::Test& test : check::tests()) {
    if (count > 1 && !check::contains(test.name, words[1])) {
      continue;
    }
    ++run;
    try {
      test.body();
    } catch (const std::exception& error) {
      ++failed;
      std::cout << "FAILED " << test.name << ": " << error.what() << "\n";
    }
  }
  std::cout << run - failed << " of " << run << " tests passed\n";
  return failed > 0 || run == 0;
}
