#include "caffe2/db_source.h"

#include <chrono>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caffe2/core/db.h"
#include "caffe2/cursor_lives.h"
#include "core/database/order.h"

namespace vmz {
namespace {

using caffe2::db::Cursor;
using caffe2::db::DBReader;
using Keys = std::vector<std::string>;

struct Shard {
  int64_t index, count;
};

constexpr auto kOpening = std::chrono::seconds(10);  // a reader without a cursor for longer is not being opened

// DBReader hides its lock and its shard. An explicit instantiation may name what is private.
template <std::mutex DBReader::* Lock, uint32_t DBReader::* Count, uint32_t DBReader::* Index>
struct Hidden {
  friend std::mutex& lock_of(const DBReader& reader) {
    return const_cast<DBReader&>(reader).*Lock;
  }
  friend Shard shard_of(const DBReader& reader) {
    return {reader.*Index, reader.*Count};
  }
};
std::mutex& lock_of(const DBReader& reader);
Shard shard_of(const DBReader& reader);
template struct Hidden<&DBReader::reader_mutex_, &DBReader::num_shards_, &DBReader::shard_id_>;

// A reader's cursor that nobody moves while this lives, nor destroys where it is of our DB type.
class CursorInUse {
 public:
  explicit CursorInUse(const caffe2::Blob* blob) : lives_(cursor_lives(), std::defer_lock) {
    const auto end = std::chrono::steady_clock::now() + kOpening;
    while (true) {
      lives_.lock();
      if (!blob->IsType<DBReader>()) {
        throw std::runtime_error("VideoInput: its input contains no DBReader; run the net with CreateDB first");
      }
      cursor_ = blob->Get<DBReader>().cursor();
      if (cursor_ != nullptr) {
        break;
      }
      lives_.unlock();  // CreateDB, run again, is between its old cursor and its new one
      if (std::chrono::steady_clock::now() > end) {
        throw std::runtime_error("VideoInput: the DBReader of its input is not open; run the net with CreateDB first");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto& reader = blob->Get<DBReader>();
    moves_ = std::unique_lock<std::mutex>(lock_of(reader));
    shard_ = shard_of(reader);
    if (!cursor_->Valid()) {
      throw std::runtime_error("VideoInput: the database of its input contains no records");
    }
  }

  Cursor* get() const {
    return cursor_;
  }

  Shard shard() const {
    return shard_;
  }

  // Whose cursor is another has another identity.
  uint64_t identity() const {
    const auto* numbered = dynamic_cast<const NumberedCursor*>(cursor_);
    return numbered != nullptr ? numbered->number() : reinterpret_cast<uintptr_t>(cursor_);
  }

 private:
  Cursor* cursor_ = nullptr;
  Shard shard_ = {0, 1};
  std::shared_lock<std::shared_timed_mutex> lives_;
  std::unique_lock<std::mutex> moves_;
};

}  // namespace

std::shared_timed_mutex& cursor_lives() {
  static std::shared_timed_mutex lives;
  return lives;
}

namespace {

// A DBReader's cursor and where it stands. DBReader::Read wraps around without a word and counts nothing, so we move
// the cursor ourselves, one operator at a time, and leave it as Read would.
class SharedCursor {
 public:
  explicit SharedCursor(const caffe2::Blob* blob) : blob_(blob) {}

  // Reads a record, unless the pass `turn` is over and `one_pass` is set.
  bool read(RawRecord* record, int64_t turn, bool one_pass) {
    std::lock_guard<std::mutex> lock(mutex_);
    const CursorInUse in_use(blob_);
    attach(in_use, one_pass);
    Cursor* cursor = in_use.get();
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
    const CursorInUse in_use(blob_);
    Cursor* cursor = in_use.get();
    if (keys_ && in_use.identity() == keys_cursor_) {
      return keys_;
    }
    if (!cursor->SupportsSeek()) {
      throw std::runtime_error(
          "VideoInput: with shuffle, shard_count or first_position its database must be of a type that can seek, lmdb "
          "for example");
    }
    const std::string here = cursor->key();
    const Shard shard = in_use.shard();
    auto keys = std::make_shared<Keys>();
    for (cursor->SeekToFirst(); cursor->Valid(); cursor->Next()) {
      keys->push_back(cursor->key());
    }
    cursor->Seek(here);
    if (shard.count > 1) {
      throw std::runtime_error(
          "VideoInput: shuffle, shard_count and first_position are of the whole database, but CreateDB opened one "
          "shard of " +
          std::to_string(shard.count) + "; leave its num_shards out");
    }
    keys_ = std::move(keys);
    keys_cursor_ = in_use.identity();
    return keys_;
  }

  // The value of a key, with the cursor left where it was.
  std::string value(const std::string& key) {
    std::lock_guard<std::mutex> lock(mutex_);
    const CursorInUse in_use(blob_);
    Cursor* cursor = in_use.get();
    const std::string here = cursor->key();
    cursor->Seek(key);
    if (!cursor->Valid() || cursor->key() != key) {
      throw std::runtime_error(
          "VideoInput: record " + key + " is no longer in the database of its input; create the net again after CreateDB");
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
  // Find out about the cursor anew when the reader was opened again since, or moved by someone else.
  void attach(const CursorInUse& in_use, bool from_the_start) {
    Cursor* cursor = in_use.get();
    if (in_use.identity() == cursor_ && cursor->key() == next_key_) {
      return;
    }
    const std::string here = cursor->key();
    shard_ = in_use.shard();
    rewind(cursor);
    if (!from_the_start) {
      while (cursor->key() != here) {
        if (!advance(cursor)) {
          break;
        }
      }
    }
    cursor_ = in_use.identity();
    next_key_ = cursor->key();
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
  uint64_t cursor_ = 0;  // its identity
  std::string next_key_;
  Shard shard_ = {0, 1};
  int64_t index_ = 0, read_ = 0, turn_ = 0, size_ = 0;
  std::shared_ptr<const Keys> keys_;
  uint64_t keys_cursor_ = 0;  // whose keys they are
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
      : cursor_(shared_cursor(blob)),
        turn_(cursor_->turn()),
        one_pass_(!wrap_around) {}

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
      : cursor_(shared_cursor(blob)),
        args_(args),
        position_(args.first_position) {}

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
