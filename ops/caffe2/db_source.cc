#include "caffe2/db_source.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "caffe2/core/db.h"
#include "core/order.h"

namespace vmz {
namespace {

using caffe2::db::Cursor;
using caffe2::db::DBReader;
using Keys = std::vector<std::string>;

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

  // The keys of the whole database, in its order.
  std::shared_ptr<const Keys> keys() {
    std::lock_guard<std::mutex> lock(mutex_);
    Cursor* cursor = opened();
    if (keys_ && cursor == keys_cursor_) {
      return keys_;
    }
    if (!cursor->SupportsSeek()) {
      throw std::runtime_error(
          "VideoInput: with shuffle, shard_count or first_position its database must be of a type that can seek, lmdb "
          "for example");
    }
    const std::string here = cursor->key();
    const Shard shard = find_shard(cursor);
    auto keys = std::make_shared<Keys>();
    for (cursor->SeekToFirst(); cursor->Valid(); cursor->Next()) {
      keys->push_back(cursor->key());
    }
    cursor->Seek(here);
    if (shard.count > 1) {
      throw std::runtime_error(
          "VideoInput: shuffle, shard_count and first_position are of the whole database, but CreateDB opened one "
          "shard of " + std::to_string(shard.count) + "; leave its num_shards out");
    }
    keys_ = std::move(keys);
    keys_cursor_ = cursor;
    return keys_;
  }

  // The value of a key, with the cursor left where it was.
  std::string value(const std::string& key) {
    std::lock_guard<std::mutex> lock(mutex_);
    Cursor* cursor = opened();
    const std::string here = cursor->key();
    cursor->Seek(key);
    if (!cursor->Valid() || cursor->key() != key) {
      throw std::runtime_error(
          "VideoInput: record " + key + " is no longer in the database of its input; make the net anew after CreateDB");
    }
    std::string found = cursor->value();
    cursor->Seek(here);
    return found;
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
  struct Shard {
    int64_t index, count;
  };

  Cursor* opened() const {
    if (!blob_->IsType<DBReader>()) {
      throw std::runtime_error("VideoInput: its input holds no DBReader; run the net with CreateDB first");
    }
    Cursor* cursor = blob_->Get<DBReader>().cursor();
    if (cursor == nullptr) {
      throw std::runtime_error("VideoInput: the DBReader of its input is not open; run the net with CreateDB first");
    }
    if (!cursor->Valid()) {
      throw std::runtime_error("VideoInput: the database of its input holds no records");
    }
    return cursor;
  }

  // The cursor; found out about anew when the reader was opened again since, or moved by someone else.
  Cursor* attached(bool from_the_start) {
    Cursor* cursor = opened();
    if (cursor == cursor_ && cursor->key() == next_key_) {
      return cursor;
    }
    const std::string here = cursor->key();
    shard_ = find_shard(cursor);
    rewind(cursor);
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

  // The reader does not tell its shard, so we watch where it begins and how far it steps. Moves the cursor.
  Shard find_shard(Cursor* cursor) const {
    const DBReader& reader = blob_->Get<DBReader>();
    reader.SeekToFirst();
    const std::string first = cursor->key();
    std::string key, value;
    reader.Read(&key, &value);
    const std::string second = cursor->key();
    Shard shard = {0, 0};
    cursor->SeekToFirst();
    while (cursor->Valid() && cursor->key() != first) {
      cursor->Next();
      ++shard.index;
    }
    do {
      cursor->Next();
      ++shard.count;
    } while (cursor->Valid() && cursor->key() != second);
    return shard;
  }

  void rewind(Cursor* cursor) {
    cursor->SeekToFirst();
    for (int64_t i = 0; i < shard_.index; ++i) {
      cursor->Next();
    }
    index_ = shard_.index;
    read_ = 0;
  }

  // To the next record, or to the first one and false.
  bool advance(Cursor* cursor) {
    index_ += shard_.count;
    ++read_;
    for (int64_t i = 0; i < shard_.count; ++i) {
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
  Shard shard_ = {0, 1};
  int64_t index_ = 0, read_ = 0, turn_ = 0, size_ = 0;
  std::shared_ptr<const Keys> keys_;
  const Cursor* keys_cursor_ = nullptr;  // whose keys they are
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

// One record after the other from where the database stands, shared with the other sources of this kind.
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

// In the order that the arguments ask for, whatever others read.
class OrderedSource : public RecordSource {
 public:
  OrderedSource(const caffe2::Blob* blob, const VideoInputArgs& args)
      : cursor_(shared_cursor(blob)), args_(args), position_(args.first_position) {}

  bool next(RawRecord* record) override {
    if (!order_) {  // now that CreateDB has run
      keys_ = cursor_->keys();
      order_.reset(new ReadingOrder(size(), args_));
    }
    ReadingOrder::Place place;
    if (!order_->at(position_, &place)) {
      return false;
    }
    ++position_;
    record->turn = place.turn;
    record->index = place.record;
    record->key = (*keys_)[static_cast<size_t>(place.record)];
    record->value = cursor_->value(record->key);
    return true;
  }

  int64_t size() const override {
    return keys_ ? static_cast<int64_t>(keys_->size()) : 0;
  }

 private:
  const std::shared_ptr<SharedCursor> cursor_;
  const VideoInputArgs args_;
  int64_t position_;
  std::shared_ptr<const Keys> keys_;
  std::unique_ptr<ReadingOrder> order_;
};

}  // namespace

std::unique_ptr<RecordSource> make_db_source(const caffe2::Blob* blob, const VideoInputArgs& args) {
  if (args.in_database_order()) {
    return std::unique_ptr<RecordSource>(new DBSource(blob, args.wrap_around != 0));
  }
  return std::unique_ptr<RecordSource>(new OrderedSource(blob, args));
}

}  // namespace vmz
