#include "caffe2/db_source.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "caffe2/core/db.h"

namespace vmz {
namespace {

using caffe2::db::Cursor;
using caffe2::db::DBReader;

// A DBReader's cursor and where it stands. DBReader::Read wraps around without a word and counts nothing, so we move
// the cursor ourselves, one operator at a time, and leave it as Read would.
class SharedCursor {
 public:
  explicit SharedCursor(const caffe2::Blob* blob) : blob_(blob) {}

  // Reads a record, unless the pass `turn` is over and `one_pass` is set.
  bool read(RawRecord* record, int64_t turn, bool one_pass) {
    std::lock_guard<std::mutex> lock(mutex_);
    Cursor* cursor = attached(one_pass);
    if (one_pass && turn_ > turn) {
      return false;
    }
    record->turn = turn_;
    record->index = index_;
    record->key = cursor->key();
    record->value = cursor->value();
    advance(cursor);
    next_key_ = cursor->key();
    return true;
  }

  int64_t turn() {
    std::lock_guard<std::mutex> lock(mutex_);
    return turn_;
  }

  int64_t size() {
    std::lock_guard<std::mutex> lock(mutex_);
    return size_;
  }

 private:
  // The cursor; found out about anew when the reader was opened again since, or moved by someone else.
  Cursor* attached(bool from_the_start) {
    if (!blob_->IsType<DBReader>()) {
      throw std::runtime_error("VideoInput: its input holds no DBReader; run the net with CreateDB first");
    }
    const DBReader& reader = blob_->Get<DBReader>();
    Cursor* cursor = reader.cursor();
    if (cursor == nullptr) {
      throw std::runtime_error("VideoInput: the DBReader of its input is not open; run the net with CreateDB first");
    }
    if (cursor == cursor_ && cursor->Valid() && cursor->key() == next_key_) {
      return cursor;
    }
    if (!cursor->Valid()) {
      throw std::runtime_error("VideoInput: the database of its input holds no records");
    }
    const std::string here = cursor->key();
    find_shard(reader, cursor);
    if (!from_the_start) {
      while (cursor->key() != here) {
        if (!advance(cursor)) {
          break;
        }
      }
    }
    cursor_ = cursor;
    next_key_ = cursor->key();
    return cursor;
  }

  // Leaves the cursor at the first record of the reader's shard. The reader does not tell its shard, so we watch where
  // it begins and how far it steps.
  void find_shard(const DBReader& reader, Cursor* cursor) {
    reader.SeekToFirst();
    const std::string first = cursor->key();
    std::string key, value;
    reader.Read(&key, &value);
    const std::string second = cursor->key();
    shard_ = 0;
    cursor->SeekToFirst();
    while (cursor->Valid() && cursor->key() != first) {
      cursor->Next();
      ++shard_;
    }
    shards_ = 0;
    do {
      cursor->Next();
      ++shards_;
    } while (cursor->Valid() && cursor->key() != second);
    rewind(cursor);
  }

  void rewind(Cursor* cursor) {
    cursor->SeekToFirst();
    for (int64_t i = 0; i < shard_; ++i) {
      cursor->Next();
    }
    index_ = shard_;
    read_ = 0;
  }

  // To the next record, or to the first one and false.
  bool advance(Cursor* cursor) {
    index_ += shards_;
    ++read_;
    for (int64_t i = 0; i < shards_; ++i) {
      cursor->Next();
      if (!cursor->Valid()) {
        size_ = read_;
        ++turn_;
        rewind(cursor);
        return false;
      }
    }
    return true;
  }

  const caffe2::Blob* blob_;
  std::mutex mutex_;
  const Cursor* cursor_ = nullptr;
  std::string next_key_;
  int64_t shard_ = 0, shards_ = 1;
  int64_t index_ = 0, read_ = 0, turn_ = 0, size_ = 0;
};

// The cursor of a blob, shared by the operators that read it and forgotten with the last of them.
std::shared_ptr<SharedCursor> shared_cursor(const caffe2::Blob* blob) {
  static std::mutex mutex;
  static std::map<const caffe2::Blob*, std::weak_ptr<SharedCursor>> cursors;
  std::lock_guard<std::mutex> lock(mutex);
  for (auto entry = cursors.begin(); entry != cursors.end();) {
    entry = entry->second.expired() ? cursors.erase(entry) : std::next(entry);
  }
  auto cursor = cursors[blob].lock();
  if (!cursor) {
    cursor = std::make_shared<SharedCursor>(blob);
    cursors[blob] = cursor;
  }
  return cursor;
}

class DBSource : public RecordSource {
 public:
  DBSource(const caffe2::Blob* blob, bool wrap_around)
      : cursor_(shared_cursor(blob)), turn_(cursor_->turn()), one_pass_(!wrap_around) {}

  bool next(RawRecord* record) override {
    return cursor_->read(record, turn_, one_pass_);
  }

  int64_t size() const override {
    return cursor_->size();
  }

 private:
  std::shared_ptr<SharedCursor> cursor_;
  int64_t turn_;
  bool one_pass_;
};

}  // namespace

std::unique_ptr<RecordSource> make_db_source(const caffe2::Blob* blob, bool wrap_around) {
  return std::unique_ptr<RecordSource>(new DBSource(blob, wrap_around));
}

}  // namespace vmz
