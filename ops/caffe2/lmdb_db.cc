// The DB type `lmdb`, which the wheel lacks: read and written through Caffe2's DB interface.
#include <lmdb.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "caffe2/core/db.h"
#include "caffe2/core/logging.h"
#include "caffe2/cursor_lives.h"

namespace caffe2 {
namespace db {
namespace {

constexpr size_t kFirstMapBytes = size_t{1} << 26;    // grows: some file systems reserve the whole map at once
constexpr size_t kFlushBytes = size_t{1} << 25;       // what a transaction gathers before it is written out

struct FreeLmdb {
  void operator()(MDB_env* p) const {
    mdb_env_close(p);
  }
  void operator()(MDB_txn* p) const {
    mdb_txn_abort(p);
  }
  void operator()(MDB_cursor* p) const {
    mdb_cursor_close(p);
  }
};

using Environment = std::unique_ptr<MDB_env, FreeLmdb>;
using Txn = std::unique_ptr<MDB_txn, FreeLmdb>;

void check(int status, const std::string& path, const char* what) {
  if (status != MDB_SUCCESS) {
    throw std::runtime_error("lmdb: cannot " + std::string(what) + " " + path + ": " + mdb_strerror(status));
  }
}

MDB_val as_value(const std::string& text) {
  return {text.size(), const_cast<char*>(text.data())};
}

std::string as_string(const MDB_val& value) {
  return std::string(static_cast<const char*>(value.mv_data), value.mv_size);
}

bool is_folder(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The environment of a database and the path it came from, shared by the cursors and transactions on it.
struct Opened {
  Opened(std::string at, MDB_env* made) : path(std::move(at)), environment(made) {}

  const std::string path;
  const Environment environment;
  std::mutex writing;  // Caffe2 commits from several threads, and the map may only grow while none of them writes
};

Txn begin(const Opened& opened, unsigned flags) {
  MDB_txn* txn = nullptr;
  check(mdb_txn_begin(opened.environment.get(), nullptr, flags, &txn), opened.path, "begin to read or write");
  return Txn(txn);
}

MDB_dbi open_table(const Opened& opened, MDB_txn* txn) {
  MDB_dbi table = 0;
  check(mdb_dbi_open(txn, nullptr, 0, &table), opened.path, "open");
  return table;
}

// LMDB maps the file: pages that a truncated one lacks would kill the process when they are read.
void check_file_is_whole(const Opened& opened) {
  MDB_envinfo info = {};
  MDB_stat stat = {};
  check(mdb_env_info(opened.environment.get(), &info), opened.path, "read");
  check(mdb_env_stat(opened.environment.get(), &stat), opened.path, "read");
  const std::string data = is_folder(opened.path) ? opened.path + "/data.mdb" : opened.path;
  struct stat file = {};
  const auto needed = (static_cast<uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
  if (::stat(data.c_str(), &file) != 0 || static_cast<uint64_t>(file.st_size) < needed) {
    throw std::runtime_error(
        "lmdb: " + data + " is truncated: " + std::to_string(file.st_size) + " bytes of " + std::to_string(needed) +
        "; copy or make it again");
  }
}

std::shared_ptr<Opened> open_to_read(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    throw std::runtime_error("lmdb: no such database: " + path);
  }
  if (is_folder(path) && ::stat((path + "/data.mdb").c_str(), &status) != 0) {
    throw std::runtime_error("lmdb: " + path + " is not an LMDB: it holds no data.mdb");
  }
  MDB_env* environment = nullptr;
  check(mdb_env_create(&environment), path, "open");
  auto opened = std::make_shared<Opened>(path, environment);
  // No lock file, as in the original: it could not be written in a read-only folder, and nothing writes to a finished
  // database. MDB_NOTLS: a cursor may be used by another thread than the one that made it.
  const unsigned flags = MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK | MDB_NORDAHEAD | (is_folder(path) ? 0 : MDB_NOSUBDIR);
  check(mdb_env_open(environment, path.c_str(), flags, 0664), path, "open");
  check_file_is_whole(*opened);
  return opened;
}

std::shared_ptr<Opened> open_to_write(const std::string& path, bool is_new) {
  if (is_new && ::mkdir(path.c_str(), 0777) != 0) {
    throw std::runtime_error("lmdb: cannot make " + path + ": " + std::strerror(errno));
  }
  MDB_env* environment = nullptr;
  check(mdb_env_create(&environment), path, "open");
  auto opened = std::make_shared<Opened>(path, environment);
  check(mdb_env_set_mapsize(environment, kFirstMapBytes), path, "open");
  check(mdb_env_open(environment, path.c_str(), is_folder(path) ? 0 : MDB_NOSUBDIR, 0664), path, "open");
  return opened;
}

class LMDBCursor final : public Cursor, public vmz::NumberedCursor {
 public:
  explicit LMDBCursor(std::shared_ptr<Opened> opened) : opened_(std::move(opened)), txn_(begin(*opened_, MDB_RDONLY)) {
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(txn_.get(), open_table(*opened_, txn_.get()), &cursor), opened_->path, "read");
    cursor_.reset(cursor);
    SeekToFirst();
  }

  ~LMDBCursor() override {
    std::lock_guard<std::shared_timed_mutex> lock(vmz::cursor_lives());
    cursor_.reset();
    txn_.reset();
  }

  // To the key, or to the next one.
  void Seek(const string& key) override {
    key_ = as_value(key);
    move(key.empty() ? MDB_FIRST : MDB_SET_RANGE);
  }

  bool SupportsSeek() override {
    return true;
  }

  void SeekToFirst() override {
    move(MDB_FIRST);
  }

  void Next() override {
    move(MDB_NEXT);
  }

  string key() override {
    return as_string(current(key_));
  }

  string value() override {
    return as_string(current(value_));
  }

  bool Valid() override {
    return valid_;
  }

 private:
  void move(MDB_cursor_op how) {
    const int status = mdb_cursor_get(cursor_.get(), &key_, &value_, how);
    valid_ = status == MDB_SUCCESS;
    if (!valid_ && status != MDB_NOTFOUND) {
      check(status, opened_->path, "read");
    }
  }

  const MDB_val& current(const MDB_val& value) const {
    if (!valid_) {
      throw std::runtime_error("lmdb: there is no record here: " + opened_->path + " is empty or at its end");
    }
    return value;
  }

  std::shared_ptr<Opened> opened_;
  Txn txn_;
  std::unique_ptr<MDB_cursor, FreeLmdb> cursor_;
  MDB_val key_ = {}, value_ = {};
  bool valid_ = false;
};

// Gathers records and writes them when there are many, at Commit and at its end.
class LMDBTransaction : public Transaction {
 public:
  explicit LMDBTransaction(std::shared_ptr<Opened> opened) : opened_(std::move(opened)) {}

  ~LMDBTransaction() override {
    try {
      Commit();
    } catch (const std::exception& error) {
      LOG(ERROR) << error.what();
    }
  }

  void Put(const string& key, string&& value) override {
    const size_t longest = static_cast<size_t>(mdb_env_get_maxkeysize(opened_->environment.get()));
    if (key.empty() || key.size() > longest) {
      throw std::runtime_error(
          "lmdb: a key of " + std::to_string(key.size()) + " bytes; keys have 1 to " + std::to_string(longest));
    }
    pending_bytes_ += key.size() + value.size();
    pending_.emplace_back(key, std::move(value));
    if (pending_bytes_ >= kFlushBytes) {
      Commit();
    }
  }

  void Commit() override {
    std::lock_guard<std::mutex> lock(opened_->writing);
    int status = MDB_SUCCESS;
    while (!pending_.empty() && (status = write()) == MDB_MAP_FULL) {
      MDB_envinfo info = {};
      check(mdb_env_info(opened_->environment.get(), &info), opened_->path, "write");
      const size_t more = std::max(info.me_mapsize, 4 * pending_bytes_);
      check(mdb_env_set_mapsize(opened_->environment.get(), info.me_mapsize + more), opened_->path, "enlarge");
    }
    pending_.clear();
    pending_bytes_ = 0;
    check(status, opened_->path, "write");
  }

 private:
  int write() {
    Txn txn = begin(*opened_, 0);
    const MDB_dbi table = open_table(*opened_, txn.get());
    for (const auto& record : pending_) {
      MDB_val key = as_value(record.first), value = as_value(record.second);
      const int status = mdb_put(txn.get(), table, &key, &value, 0);
      if (status != MDB_SUCCESS) {
        return status;
      }
    }
    return mdb_txn_commit(txn.release());
  }

  std::shared_ptr<Opened> opened_;
  std::vector<std::pair<string, string>> pending_;
  size_t pending_bytes_ = 0;
};

class LMDB : public DB {
 public:
  LMDB(const string& source, Mode mode)
      : DB(source, mode), opened_(mode == READ ? open_to_read(source) : open_to_write(source, mode == NEW)) {}

  void Close() override {
    opened_.reset();
  }

  std::unique_ptr<Cursor> NewCursor() override {
    if (mode_ != READ) {  // the map may move while it grows
      throw std::runtime_error("lmdb: " + opened()->path + " was opened to write; open it to read");
    }
    return std::unique_ptr<Cursor>(new LMDBCursor(opened()));
  }

  std::unique_ptr<Transaction> NewTransaction() override {
    if (mode_ == READ) {
      throw std::runtime_error("lmdb: " + opened()->path + " was opened to read; open it to write");
    }
    return std::unique_ptr<Transaction>(new LMDBTransaction(opened()));
  }

 private:
  std::shared_ptr<Opened> opened() const {
    if (!opened_) {
      throw std::runtime_error("lmdb: the database is closed");
    }
    return opened_;
  }

  std::shared_ptr<Opened> opened_;
};

}  // namespace

REGISTER_CAFFE2_DB(LMDB, LMDB);
REGISTER_CAFFE2_DB(lmdb, LMDB);

}  // namespace db
}  // namespace caffe2
