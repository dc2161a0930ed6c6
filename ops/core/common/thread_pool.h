// A fixed number of threads that work off a queue, in order.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace vmz {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  // Drops what has not begun and waits for what has, but for what was abandoned.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // `task` must not throw. It has to own what it uses, for it may be abandoned. Returns its number.
  size_t submit(std::function<void()> task);

  // Leaves the thread that works at a task to itself, and has another one in its place.
  void abandon(size_t task);

 private:
  struct Queue;

  void start();
  void stop();

  const std::shared_ptr<Queue> queue_;  // shared with threads that outlive this object
  std::vector<std::thread> threads_;
};

}  // namespace vmz
