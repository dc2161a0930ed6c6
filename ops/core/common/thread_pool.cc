#include "core/common/thread_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace vmz {

struct ThreadPool::Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<size_t, std::function<void()>>> tasks;
  std::unordered_map<size_t, std::thread::id> working;  // who is at which task
  size_t submitted = 0;
  bool stopping = false;

  void work() {
    for (;;) {
      std::pair<size_t, std::function<void()>> task;
      {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return stopping || !tasks.empty(); });
        if (stopping) {
          return;
        }
        task = std::move(tasks.front());
        tasks.pop_front();
        working[task.first] = std::this_thread::get_id();
      }
      task.second();
      task.second = nullptr;
      std::lock_guard<std::mutex> lock(mutex);
      if (working.erase(task.first) == 0) {
        return;  // it was abandoned, and another thread is in this one's place
      }
    }
  }
};

ThreadPool::ThreadPool(int threads) : queue_(std::make_shared<Queue>()) {
  try {
    for (int i = 0; i < threads; ++i) {
      start();
    }
  } catch (...) {  // the system has no more threads
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop();
}

void ThreadPool::start() {
  const std::shared_ptr<Queue> queue = queue_;
  threads_.emplace_back([queue] { queue->work(); });
}

void ThreadPool::stop() {
  {
    std::lock_guard<std::mutex> lock(queue_->mutex);
    queue_->stopping = true;
    queue_->tasks.clear();
  }
  queue_->changed.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

size_t ThreadPool::submit(std::function<void()> task) {
  size_t number = 0;
  {
    std::lock_guard<std::mutex> lock(queue_->mutex);
    number = queue_->submitted++;
    queue_->tasks.emplace_back(number, std::move(task));
  }
  queue_->changed.notify_one();
  return number;
}

void ThreadPool::abandon(size_t task) {
  {
    std::lock_guard<std::mutex> lock(queue_->mutex);
    const auto found = queue_->working.find(task);
    if (found == queue_->working.end()) {
      return;
    }
    const auto thread = std::find_if(
        threads_.begin(), threads_.end(), [&found](const std::thread& one) { return one.get_id() == found->second; });
    queue_->working.erase(found);
    if (thread == threads_.end()) {
      return;
    }
    thread->detach();
    threads_.erase(thread);
  }
  start();
}

}  // namespace vmz
