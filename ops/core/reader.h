// Batches of clips from a database of records, decoded ahead in threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/arguments.h"
#include "core/common/thread_pool.h"

namespace vmz {

// A record as it lies in the database.
struct RawRecord {
  int64_t turn = 0;   // how many times the database had been read to its end before
  int64_t index = 0;  // its place in the database's order
  std::string key, value;
};

// Where records come from, one after the other. Called from one thread at a time.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // False when the pass is over and there is to be no other. May throw; the reader then stops with that error.
  virtual bool next(RawRecord* record) = 0;
  // Records of the database, 0 while that is not known.
  virtual int64_t size() const = 0;
};

// A record that gave no clips. `path` is empty where the database holds the video's bytes.
struct BadVideo {
  std::string key, path, reason;

  // Which record it is and what is wrong with it.
  std::string sentence() const;
};

// A video whose reading stopped before its end, and that gave its clips from what came before. frames: read until then,
// -1 where they were not counted.
struct EndedEarly {
  std::string key, path, reason;
  int64_t frames = -1;
};

// A video that gave zeros for its sound.
struct WithoutSound {
  std::string key, path, reason;
};

// Memory for batches, which returns to its pool when the last owner lets go of it.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  explicit BufferPool(int64_t values) : values_(values) {}
  // Throws std::runtime_error when there is no memory.
  std::shared_ptr<float> take();

 private:
  struct Free {
    void operator()(float* p) const;
  };

  int64_t values_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<float, Free>> free_;
};

// Places for clips of one kind, those of a batch side by side in memory.
class Places {
 public:
  Places(int64_t videos, int64_t video_values)
      : videos_(videos),
        video_values_(video_values),
        pool_(std::make_shared<BufferPool>(videos * video_values)) {}
  // The next video's, null where nothing of this kind is asked for. Throws as BufferPool does.
  std::shared_ptr<float> next();

 private:
  const int64_t videos_, video_values_;
  const std::shared_ptr<BufferPool> pool_;
  std::shared_ptr<float> batch_;
  int64_t given_ = 0;  // of that batch
};

// The clips of one record and what the record says of them.
struct VideoClips {
  int64_t index = 0;
  std::vector<int32_t> labels;
  int32_t start_frame = 0;
  int64_t video_id = 0;
  std::shared_ptr<float> data;  // VideoInputArgs::video_values() values, a part of a batch
  std::shared_ptr<float> flow;  // likewise flow_video_values(), the optical flow
  std::shared_ptr<float> logmels;  // likewise logmel_video_values()
};

// The result depends on the records, the arguments and the seed only: never on the number of threads or on timing.
class BatchReader {
 public:
  // Throws RequestError for wrong arguments.
  BatchReader(const VideoInputArgs& args, std::unique_ptr<RecordSource> source);
  ~BatchReader();

  // The videos of the next batch: batch_size of them, or fewer at the end of the only pass (wrap_around=0). Throws
  // EndOfData after it, BadVideoError for a bad record (on_bad_video=stop) and when no record is a good one,
  // RequestError for a record that lacks what the arguments ask of it. What it threw once, it throws again: nothing
  // is read after it.
  std::vector<VideoClips> next();

  // Videos of this reader's own stream given or left out up to the last batch that was returned: the first_position of
  // a reader that is to go on from there.
  int64_t position() const {
    return position_;
  }

  // Each record that gave no clips so far, once; the last one is that which stopped the reader, if one did.
  const std::vector<BadVideo>& skipped() const {
    return skipped_;
  }

  // Each video so far that ended early, once.
  const std::vector<EndedEarly>& ended_early() const {
    return ended_early_;
  }

  // Each video so far whose sound is missing, once.
  const std::vector<WithoutSound>& without_sound() const {
    return without_sound_;
  }

 private:
  struct Task;

  std::vector<VideoClips> next_batch();
  std::string share() const;
  void submit();
  bool wait_for(Task& task);
  void report(const Task& task);
  void note(const BadVideo& bad, int64_t index);

  // What the decoding threads share: one that was abandoned may outlive the reader.
  struct Work {
    Work(const VideoInputArgs& arguments, uint64_t drawn) : args(arguments), seed(drawn) {}

    const VideoInputArgs args;
    const uint64_t seed;
    std::atomic<bool> cancelled{false};

    void read(Task& task) const;
  };

  const std::shared_ptr<Work> work_;
  const VideoInputArgs& args_;
  std::unique_ptr<RecordSource> source_;
  Places data_, flow_, logmels_;
  std::deque<std::shared_ptr<Task>> pending_;
  bool source_ended_ = false;
  int64_t position_;
  int64_t bad_in_a_row_ = 0;
  std::vector<BadVideo> skipped_;
  std::vector<EndedEarly> ended_early_;
  std::vector<WithoutSound> without_sound_;
  std::unordered_set<int64_t> skipped_indices_, ended_early_indices_, without_sound_indices_;
  std::exception_ptr error_;
  ThreadPool threads_;  // last: they stop before what stands above is gone
};

// A batch's clips of one kind, `video_values` a video.
using ClipsOf = std::shared_ptr<float> VideoClips::*;
// Where they lie side by side in memory, as they do unless a video was left out; else null.
std::shared_ptr<float> in_place(const std::vector<VideoClips>& videos, ClipsOf kind, int64_t video_values);
void copy_clips(const std::vector<VideoClips>& videos, ClipsOf kind, int64_t video_values, float* out);

// Copies a batch's labels: what VideoInput puts out.
// [rows], or 0/1 [rows, num_of_class] with do_multi_label.
void copy_labels(const std::vector<VideoClips>& videos, const VideoInputArgs& args, int32_t* labels);

}  // namespace vmz
