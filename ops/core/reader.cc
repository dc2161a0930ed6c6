#include "core/reader.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <new>
#include <random>
#include <stdexcept>
#include <utility>

#include "core/clips.h"
#include "core/common/errors.h"
#include "core/common/random.h"
#include "core/common/text.h"
#include "core/database/record.h"
#include "core/record_check.h"

namespace vmz {
namespace {

constexpr int kGraceSeconds = 2;   // more until a thread that does not look at its watch is left to itself
constexpr size_t kAlignment = 64;  // a cache line, and what Caffe2 gives its tensors
constexpr const char* kRemedy =
    "; leave such videos out with --on_bad_video=skip, or check the list with create_video_db.py --check";
constexpr const char* kSoundRemedy =
    "; have it give zeros with --on_missing_audio=zeros, or leave such videos out with --on_missing_audio=skip";

uint64_t entropy() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

const VideoInputArgs& checked(const VideoInputArgs& args) {
  args.check();
  return args;
}

}  // namespace

std::string BadVideo::sentence() const {
  return record_name(key, path) + ": " + reason;
}

void BufferPool::Free::operator()(float* p) const {
  std::free(p);
}

std::shared_ptr<float> BufferPool::take() {
  std::unique_ptr<float, Free> buffer;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      buffer = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!buffer) {
    void* memory = nullptr;
    const size_t bytes = static_cast<size_t>(values_) * sizeof(float);
    if (posix_memalign(&memory, kAlignment, bytes) != 0) {
      throw std::runtime_error(
          "not enough memory for a batch of " + std::to_string(bytes) + " bytes; use fewer or smaller clips");
    }
    buffer.reset(static_cast<float*>(memory));
  }
  const auto pool = shared_from_this();
  return {buffer.release(), [pool](float* returned) {
            std::unique_ptr<float, Free> owned(returned);
            std::lock_guard<std::mutex> lock(pool->mutex_);
            pool->free_.push_back(std::move(owned));
          }};
}

std::shared_ptr<float> Places::next() {
  if (video_values_ == 0) {
    return nullptr;
  }
  if (!batch_ || given_ == videos_) {
    batch_ = pool_->take();
    given_ = 0;
  }
  return {batch_, batch_.get() + given_++ * video_values_};
}

struct BatchReader::Task {
  Task(int timeout, Watch::Flag cancelled) : watch(timeout, std::move(cancelled)) {}

  Watch watch;
  size_t number = 0;  // in the thread pool
  RawRecord raw;
  VideoClips clips;
  bool is_bad = false;
  bool lacks_sound = false;  // why it is bad
  BadVideo bad;              // also of a record that is an error of the whole request
  Reading reading;
  std::promise<void> done;
  std::future<void> ready = done.get_future();
};

BatchReader::BatchReader(const VideoInputArgs& args, std::unique_ptr<RecordSource> source)
    : work_(std::make_shared<Work>(checked(args), args.seed > 0 ? static_cast<uint64_t>(args.seed) : entropy())),
      args_(work_->args),
      source_(std::move(source)),
      data_(args.batch_size, args.video_values()),
      flow_(args.batch_size, args.flow_video_values()),
      logmels_(args.batch_size, args.logmel_video_values()),
      position_(args.first_position),
      threads_(args.num_decode_threads) {}

BatchReader::~BatchReader() {
  work_->cancelled = true;
}

std::vector<VideoClips> BatchReader::next() {
  if (error_) {
    std::rethrow_exception(error_);
  }
  try {
    return next_batch();
  } catch (...) {
    error_ = std::current_exception();
    work_->cancelled = true;  // nothing that is being decoded will be asked for
    throw;
  }
}

std::vector<VideoClips> BatchReader::next_batch() {
  std::vector<VideoClips> videos;
  int64_t position = position_;
  while (videos.size() < static_cast<size_t>(args_.batch_size)) {
    submit();
    if (pending_.empty()) {
      break;
    }
    const std::shared_ptr<Task> task = pending_.front();
    pending_.pop_front();
    ++position;
    BadVideo bad;
    bool is_bad = true, lacks_sound = false;
    try {
      if (wait_for(*task)) {
        is_bad = task->is_bad;
        lacks_sound = task->lacks_sound;
        bad = task->bad;
      } else {  // key and path were written before the watch began
        bad = {task->bad.key, task->bad.path, task->watch.reason()};
      }
    } catch (const RequestError&) {
      note(task->bad, task->raw.index);
      throw;
    }
    if (!is_bad) {
      bad_in_a_row_ = 0;
      report(*task);
      videos.push_back(std::move(task->clips));
      continue;
    }
    note(bad, task->raw.index);
    if ((lacks_sound ? args_.audio.on_missing_audio : args_.on_bad_video) == "stop") {
      throw BadVideoError(bad.sentence() + (lacks_sound ? kSoundRemedy : kRemedy));
    }
    ++bad_in_a_row_;
    if (args_.wrap_around && source_->size() > 0 && bad_in_a_row_ >= source_->size()) {
      throw BadVideoError("no video of the database" + share() + " can be read; the last one is " + bad.sentence());
    }
  }
  submit();
  if (videos.empty()) {
    const std::string records = std::to_string(source_->size());
    if (source_->size() > 0 && bad_in_a_row_ >= source_->size()) {
      throw BadVideoError(
          "no video of the database" + share() + " can be read; the last one is " + skipped_.back().sentence());
    }
    throw EndOfData("EndOfData: all " + records + " records of the database" + share() + " have been read once");
  }
  position_ = position;
  return videos;
}

// What is to be known of a video that gave its clips.
void BatchReader::report(const Task& task) {
  const Ending& ended = task.reading.ended;
  if (!ended.reason.empty() && ended_early_indices_.insert(task.raw.index).second) {
    ended_early_.push_back({task.bad.key, task.bad.path, ended.reason, ended.frames});
  }
  const std::string& without_sound = task.reading.without_sound;
  if (!without_sound.empty() && without_sound_indices_.insert(task.raw.index).second) {
    without_sound_.push_back({task.bad.key, task.bad.path, without_sound});
  }
}

// Which records of the database are meant, where it is not all of them.
std::string BatchReader::share() const {
  return args_.shard_count == 1
      ? ""
      : " (shard " + std::to_string(args_.shard_index) + " of " + std::to_string(args_.shard_count) + ")";
}

// Keeps the threads busy with the next records.
void BatchReader::submit() {
  const auto ahead = static_cast<size_t>(std::max(args_.batch_size, args_.num_decode_threads));
  while (!source_ended_ && pending_.size() <= ahead) {
    const Watch::Flag cancelled(work_, &work_->cancelled);
    auto task = std::make_shared<Task>(args_.video_timeout, cancelled);
    if (!source_->next(&task->raw)) {
      source_ended_ = true;
      return;
    }
    task->clips.data = data_.next();
    task->clips.flow = flow_.next();
    task->clips.logmels = logmels_.next();
    pending_.push_back(task);
    const std::shared_ptr<const Work> work = work_;
    task->number = threads_.submit([work, task] {
      try {
        work->read(*task);
        task->done.set_value();
      } catch (...) {
        task->done.set_exception(std::current_exception());
      }
    });
  }
}

// False where a decoder does not come back from one frame: its thread is left to itself.
bool BatchReader::wait_for(Task& task) {
  while (task.ready.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
    if (task.watch.is_over(kGraceSeconds)) {
      task.watch.abandon();
      threads_.abandon(task.number);
      return false;
    }
  }
  task.ready.get();
  return true;
}

void BatchReader::Work::read(Task& task) const {
  BadVideo& named = task.bad;
  named.key = printable_key(task.raw.key);
  try {
    const Record record = parse_record(task.raw.value.data(), task.raw.value.size());
    if (args.use_local_file && could_be_path(record)) {
      named.path = shown_path(std::string(record.video, record.video_size));
    }
    check_record(record, args);
    const VideoSource source = source_of(record, args);
    task.clips.index = task.raw.index;
    task.clips.labels = record.labels;
    task.clips.start_frame = record.start_frame;
    task.clips.video_id = record.video_id;
    const Random random(seed, static_cast<uint64_t>(task.raw.turn), static_cast<uint64_t>(task.raw.index));
    VideoClips& clips = task.clips;
    task.reading = read_clips(
        source, record.start_frame, args, random, &task.watch, clips.data.get(), clips.flow.get(), clips.logmels.get());
  } catch (const BadRecord& error) {
    task.is_bad = true;
    task.lacks_sound = dynamic_cast<const MissingSound*>(&error) != nullptr;
    named.reason = printable(error.what());
    task.clips = VideoClips();
  } catch (const RequestError& error) {
    named.reason = error.what();
    throw RequestError(record_name(named.key, named.path) + " " + named.reason);
  } catch (const std::bad_alloc&) {
    throw std::runtime_error(
        record_name(named.key, named.path) + ": not enough memory to decode it; use fewer decoding threads");
  }
  std::string().swap(task.raw.value);  // may be megabytes
}

void BatchReader::note(const BadVideo& bad, int64_t index) {
  if (skipped_indices_.insert(index).second) {
    skipped_.push_back(bad);
  }
}

std::shared_ptr<float> in_place(const std::vector<VideoClips>& videos, ClipsOf kind, int64_t video_values) {
  const std::shared_ptr<float>& first = videos.front().*kind;
  const float* expected = first.get();
  for (const VideoClips& video : videos) {
    const std::shared_ptr<float>& clips = video.*kind;
    const bool same_owner = !first.owner_before(clips) && !clips.owner_before(first);
    if (!same_owner || clips.get() != expected) {
      return nullptr;
    }
    expected += video_values;
  }
  return first;
}

void copy_clips(const std::vector<VideoClips>& videos, ClipsOf kind, int64_t video_values, float* out) {
  for (const VideoClips& video : videos) {
    std::memcpy(out, (video.*kind).get(), static_cast<size_t>(video_values) * sizeof(float));
    out += video_values;
  }
}

void copy_labels(const std::vector<VideoClips>& videos, const VideoInputArgs& args, int32_t* labels) {
  const int64_t width = args.do_multi_label ? args.num_of_class : 1;
  for (const VideoClips& video : videos) {
    for (int64_t row = 0; row < args.rows(); ++row, labels += width) {
      std::fill(labels, labels + width, 0);
      if (!args.do_multi_label) {
        labels[0] = video.labels[0];
        continue;
      }
      for (const int32_t label : video.labels) {
        labels[label] = 1;
      }
    }
  }
}

}  // namespace vmz
