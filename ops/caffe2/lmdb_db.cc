// The DB type `lmdb`, which the wheel lacks: read and written through Caffe2's DB interface. What is read is not mapped
// (see core/database/lmdb_file.h).
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
#include "core/database/lmdb_file.h"

namespace caffe2 {
namespace db {
namespace {

constexpr size_t kFirstMapBytes = size_t{1} << 26;  // grows: some file systems reserve the whole map at once
constexpr size_t kFlushBytes = size_t{1} << 25;  // what a transaction gathers before it is written out

struct FreeLmdb {
  void operator()(MDB_env* p) const {
    mdb_env_close(p);
  }
  void operator()(MDB_txn* p) const {
    mdb_txn_abort(p);
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

bool is_folder(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The environment of a database that is written and the path it came from, shared by the transactions on it.
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

// The data file of a database that is a folder or, as LMDB can have it, that file itself.
std::string data_file(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    throw std::runtime_error("lmdb: no such database: " + path);
  }
  const std::string data = is_folder(path) ? path + "/data.mdb" : path;
  if (::stat(data.c_str(), &status) != 0) {
    throw std::runtime_error("lmdb: " + path + " is not an LMDB: it contains no data.mdb");
  }
  return data;
}

std::shared_ptr<const vmz::LmdbFile> open_to_read(const std::string& path) {
  try {
    return std::make_shared<vmz::LmdbFile>(data_file(path));
  } catch (const std::exception& error) {
    const std::string what = error.what();
    throw std::runtime_error(what.compare(0, 5, "lmdb:") == 0 ? what : "lmdb: " + what);
  }
}

// LMDB maps what it writes to: a damaged database must not get that far.
void check_if_there(const std::string& path) {
  const std::string data = is_folder(path) ? path + "/data.mdb" : path;
  struct stat status = {};
  if (::stat(data.c_str(), &status) == 0 && status.st_size > 0) {
    open_to_read(path);
  }
}

std::shared_ptr<Opened> open_to_write(const std::string& path, bool is_new) {
  if (!is_new) {
    check_if_there(path);
  }
  if (is_new && ::mkdir(path.c_str(), 0777) != 0) {
    throw std::runtime_error("lmdb: cannot create " + path + ": " + std::strerror(errno));
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
  LMDBCursor(std::string path, std::shared_ptr<const vmz::LmdbFile> file)
      : path_(std::move(path)),
        file_(std::move(file)) {}

  ~LMDBCursor() override {
    std::lock_guard<std::shared_timed_mutex> lock(vmz::cursor_lives());  // waits for whoever uses this cursor
  }

  // To the key, or to the next one.
  void Seek(const string& key) override {
    at_ = static_cast<size_t>(std::lower_bound(keys().begin(), keys().end(), key) - keys().begin());
  }

  bool SupportsSeek() override {
    return true;
  }

  void SeekToFirst() override {
    at_ = 0;
  }

  void Next() override {
    at_ += Valid();
  }

  string key() override {
    return keys()[current()];
  }

  string value() override {
    const size_t at = current();
    try {
      return file_->value(at);
    } catch (const std::exception& error) {
      throw std::runtime_error(std::string("lmdb: ") + error.what());
    }
  }

  bool Valid() override {
    return at_ < keys().size();
  }

 private:
  const std::vector<std::string>& keys() const {
    return file_->keys();
  }

  size_t current() {
    if (!Valid()) {
      throw std::runtime_error("lmdb: there is no record here: " + path_ + " is empty or at its end");
    }
    return at_;
  }

  const std::string path_;
  const std::shared_ptr<const vmz::LmdbFile> file_;
  size_t at_ = 0;
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
  LMDB(const string& source, Mode mode) : DB(source, mode), path_(source) {
    if (mode == READ) {
      file_ = open_to_read(source);
    } else {
      opened_ = open_to_write(source, mode == NEW);
    }
  }

  void Close() override {
    opened_.reset();
    file_.reset();
  }

  std::unique_ptr<Cursor> NewCursor() override {
    if (!file_) {
      refuse(opened_, "was opened to write; open it to read");
    }
    return std::unique_ptr<Cursor>(new LMDBCursor(path_, file_));
  }

  std::unique_ptr<Transaction> NewTransaction() override {
    if (!opened_) {
      refuse(file_, "was opened to read; open it to write");
    }
    return std::unique_ptr<Transaction>(new LMDBTransaction(opened_));
  }

 private:
  template <class Open>
  [[noreturn]] void refuse(const Open& other, const char* why) const {
    throw std::runtime_error(other ? "lmdb: " + path_ + " " + why : "lmdb: the database is closed");
  }

  const std::string path_;
  std::shared_ptr<Opened> opened_;  // to write
  std::shared_ptr<const vmz::LmdbFile> file_;  // to read
};

}  // namespace

REGISTER_CAFFE2_DB(LMDB, LMDB);
REGISTER_CAFFE2_DB(lmdb, LMDB);

}  // namespace db
}  // namespace caffe2
