// Reading an LMDB without mapping it: every page that leads to a record is checked, then values are read as asked for.
//
// LMDB itself trusts its file: a truncated or damaged one kills the process that maps it. Here a file is read by plain
// reads, so that what is wrong with it is an error. lib/vmz/video/database/lmdb_file.py is the same for the Python
// reader, and says what the format is: change both.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace vmz {

// The records of an LMDB, in the order of their keys. Safe to use from several threads.
class LmdbFile {
 public:
  // `path`: its data file. Throws std::runtime_error, whose message names the file, for what is not an LMDB, or one
  // whose tree of pages is not whole.
  explicit LmdbFile(const std::string& path);
  ~LmdbFile();
  LmdbFile(const LmdbFile&) = delete;
  LmdbFile& operator=(const LmdbFile&) = delete;

  const std::vector<std::string>& keys() const {
    return keys_;
  }
  // Throws std::runtime_error where the file has changed.
  std::string value(size_t index) const;

 private:
  struct Meta {
    uint64_t page_size = 0, flags = 0, depth = 0, entries = 0, root = 0, last_page = 0, transaction = 0;
  };
  struct Place {
    uint64_t offset, size, page;  // page: the first of its own, kInLeaf where the value is in the leaf
  };
  struct State {
    int64_t size, seconds, nanoseconds;
    bool operator==(const State& other) const {
      return size == other.size && seconds == other.seconds && nanoseconds == other.nanoseconds;
    }
  };
  struct Pages {
    uint64_t first, count;
  };

  State state() const;
  std::string read(uint64_t offset, uint64_t count) const;
  void walk();
  Meta current_meta() const;
  Meta meta_page(uint64_t number, const std::string& content) const;
  void claim(uint64_t number, uint64_t count);
  void check_shared();
  // The page and all below it, whose keys are at least `least` and, where it is given, less than `below`.
  void descend(uint64_t number, uint64_t level, const std::string& least, const std::string* below);
  void branch(
      uint64_t number, const std::string& content, const std::vector<uint64_t>& nodes, uint64_t level,
      const std::string& least, const std::string* below);
  void leaf(
      uint64_t number, const std::string& content, const std::vector<uint64_t>& nodes, const std::string& least,
      const std::string* below);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void damaged(uint64_t page, const std::string& what) const;
  [[noreturn]] void truncated(uint64_t size) const;
  [[noreturn]] void changed() const;

  const std::string path_;
  int file_ = -1;
  State opened_{};
  Meta meta_;
  std::vector<std::string> keys_;
  std::vector<Place> places_;
  std::vector<Pages> taken_;   // while it is walked: the pages that the tree uses
  std::unordered_set<uint64_t> visited_;  // and the first of each
};

}  // namespace vmz
