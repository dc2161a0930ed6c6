#include "core/common/thread_pool.h"

#include <future>
#include <memory>

#include "check.h"
#include "core/common/watch.h"

using namespace vmz;

TEST(a_thread_that_is_left_behind_has_another_in_its_place) {
  const auto gate = std::make_shared<std::promise<void>>(), begun = std::make_shared<std::promise<void>>();
  const auto ended = std::make_shared<std::promise<void>>(), next = std::make_shared<std::promise<void>>();
  {
    ThreadPool pool(1);
    const size_t stuck = pool.submit([gate, begun, ended] {
      begun->set_value();
      gate->get_future().wait();
      ended->set_value();
    });
    begun->get_future().wait();
    pool.submit([next] { next->set_value(); });
    pool.abandon(stuck);
    next->get_future().wait();
    pool.abandon(stuck);  // once more is harmless
  }  // and does not wait for it
  gate->set_value();
  ended->get_future().wait();
}

TEST(a_watch_counts_from_the_last_progress) {
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  Watch watch(1, cancelled);
  CHECK(!watch.is_over() && !watch.cancelled());  // it has not begun
  watch.begin();
  watch.reached(100);
  CHECK(!watch.is_over());
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  CHECK(watch.is_over() && !watch.is_over(5));
  watch.reached(100);  // it had been before
  CHECK(watch.is_over());
  watch.reached(101);
  CHECK(!watch.is_over());
  watch.abandon();
  *cancelled = true;
  CHECK(watch.is_over(5) && watch.cancelled());
  Watch any(0);
  any.begin();
  CHECK(!any.is_over());
}
