#include "core/database/lmdb_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace vmz {
namespace {

constexpr uint64_t kMagic = 0xBEEFC0DE, kFormat = 1;
constexpr uint64_t kLeastPage = 512, kMostPage = 32768;
enum PageKind : uint64_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8 };
enum NodeFlag : uint64_t { kInPages = 1, kSubtable = 2 };  // the value has pages of its own; it is a table
constexpr uint64_t kMaxDepth = 32;                         // LMDB follows no deeper tree
constexpr uint64_t kNoPage = UINT64_MAX, kInLeaf = UINT64_MAX;
constexpr uint64_t kHead = 16, kMetaBytes = 136, kNode = 8;
constexpr const char* kRemedy = "; copy it or create it again";

// A number of so many bytes, the lowest first. The caller has checked that it is there.
uint64_t number_at(const std::string& bytes, uint64_t at, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<uint64_t>(i)]);
  }
  return value;
}

struct Head {
  explicit Head(const std::string& page)
      : number(number_at(page, 0, 8)),
        kind(number_at(page, 10, 2)),
        lower(number_at(page, 12, 2)),
        upper(number_at(page, 14, 2)) {}

  uint64_t number, kind, lower, upper;
};

// What a file is that does not begin as an LMDB that can be read; empty for one that does.
std::string other_kind(const std::string& start) {
  const char little[] = "\xde\xc0\xef\xbe", big[] = "\xbe\xef\xc0\xde";
  const auto has = [&start](size_t at, const char* magic) {
    return start.size() >= at + 4 && start.compare(at, 4, magic) == 0;
  };
  if (has(kHead, little)) {
    return "";
  }
  if (has(kHead, big)) {
    return "is an LMDB of a big-endian machine, which cannot be read here; create it again on this machine";
  }
  if (has(12, little)) {
    return "is an LMDB of a 32-bit machine, which cannot be read here; create it again on this machine";
  }
  if (has(24, little)) {
    return "is an LMDB of LMDB 1.0, and only those of LMDB 0.9 can be read; write it again with LMDB 0.9";
  }
  return "is not an LMDB: it does not begin as one; give the folder that create_video_db.py wrote";
}

}  // namespace

LmdbFile::LmdbFile(const std::string& path) : path_(path) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // O_NONBLOCK: a pipe must not make us wait for ever
  if (file_ < 0) {
    throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
  }
  try {
    struct stat status = {};
    if (::fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
      throw std::runtime_error("cannot read " + path + ": it is not a regular file");
    }
    opened_ = state();
    walk();
  } catch (...) {
    ::close(file_);
    throw;
  }
}

LmdbFile::~LmdbFile() {
  ::close(file_);
}

std::string LmdbFile::value(size_t index) const {
  const Place& place = places_[index];
  const std::string start = place.page == kInLeaf ? "" : read(place.offset - kHead, kHead);
  std::string content = read(place.offset, place.size);
  if (!(state() == opened_)) {
    changed();
  }
  if (place.page != kInLeaf) {
    const Head head(start);
    if (head.number != place.page || head.kind != kOverflow) {
      damaged(place.page, "is not the value's that a record names");
    }
  }
  return content;
}

LmdbFile::State LmdbFile::state() const {
  struct stat status = {};
  ::fstat(file_, &status);
  return {status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

std::string LmdbFile::read(uint64_t offset, uint64_t count) const {
  std::string content(count, '\0');
  for (uint64_t done = 0; done < count;) {
    const ssize_t got = ::pread(file_, &content[done], count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw std::runtime_error("cannot read " + path_ + ": " + std::strerror(errno));
    }
    if (got == 0) {
      changed();
    }
    done += static_cast<uint64_t>(got);
  }
  return content;
}

void LmdbFile::walk() {
  meta_ = current_meta();
  if (meta_.flags != 0) {
    damaged(0, "states a table of another kind (" + std::to_string(meta_.flags) + ")");
  }
  if (meta_.root != kNoPage) {
    if (meta_.depth < 1 || meta_.depth > kMaxDepth) {
      damaged(0, "states a tree of " + std::to_string(meta_.depth) + " levels");
    }
    descend(meta_.root, meta_.depth, "", nullptr);
  }
  if (keys_.size() != meta_.entries) {
    fail(
        "is damaged: it states " + std::to_string(meta_.entries) + " records and contains " +
        std::to_string(keys_.size()) + kRemedy);
  }
  check_shared();
  std::unordered_set<uint64_t>().swap(visited_);
  std::vector<Pages>().swap(taken_);
  if (!(state() == opened_)) {
    changed();
  }
}

LmdbFile::Meta LmdbFile::current_meta() const {
  const auto size = static_cast<uint64_t>(opened_.size);
  if (size == 0) {
    fail(std::string("is not an LMDB: it is empty") + kRemedy);
  }
  const std::string start = read(0, std::min<uint64_t>(size, 256));
  const std::string other = other_kind(start);
  if (!other.empty()) {
    fail(other);
  }
  const Meta first = meta_page(0, start);
  if (size < 2 * first.page_size) {
    truncated(2 * first.page_size);
  }
  const Meta second = meta_page(1, read(first.page_size, 256));
  if (second.page_size != first.page_size) {
    damaged(
        1,
        "states pages of " + std::to_string(second.page_size) + " bytes, page 0 of " + std::to_string(first.page_size));
  }
  return first.transaction < second.transaction ? second : first;
}

LmdbFile::Meta LmdbFile::meta_page(uint64_t number, const std::string& content) const {
  if (content.size() < kHead + kMetaBytes) {
    fail("is truncated: " + std::to_string(content.size()) + " bytes are less than a page" + kRemedy);
  }
  const Head head(content);
  if (head.number != number || head.kind != kMeta || number_at(content, kHead, 4) != kMagic) {
    damaged(number, "is not the meta page that it should be");
  }
  const uint64_t format = number_at(content, kHead + 4, 4);
  if (format != kFormat) {
    fail(
        "is an LMDB of format " + std::to_string(format) + ", and only format " + std::to_string(kFormat) +
        " (LMDB 0.9) can be read; write it again with LMDB 0.9");
  }
  const uint64_t table = kHead + 72;  // the main table; before it the one of free pages, which has the page size
  Meta meta;
  meta.page_size = number_at(content, kHead + 24, 4);
  meta.flags = number_at(content, table + 4, 2);
  meta.depth = number_at(content, table + 6, 2);
  meta.entries = number_at(content, table + 32, 8);
  meta.root = number_at(content, table + 40, 8);
  meta.last_page = number_at(content, kHead + 120, 8);
  meta.transaction = number_at(content, kHead + 128, 8);
  const uint64_t size = meta.page_size;
  if (size < kLeastPage || size > kMostPage || (size & (size - 1)) != 0) {
    damaged(number, "states pages of " + std::to_string(size) + " bytes, which no LMDB has");
  }
  return meta;
}

// Pages that the tree uses: each is in the file, and is used once.
void LmdbFile::claim(uint64_t number, uint64_t count) {
  const uint64_t in_file = static_cast<uint64_t>(opened_.size) / meta_.page_size;
  if (number < 2 || number > meta_.last_page || count - 1 > meta_.last_page - number) {
    fail(
        "is damaged: it names page " + std::to_string(number) + " and " + std::to_string(count - 1) +
        " more, the last page is " + std::to_string(meta_.last_page) + kRemedy);
  }
  if (number >= in_file || count > in_file - number) {
    truncated((meta_.last_page + 1) * meta_.page_size);
  }
  if (!visited_.insert(number).second) {
    damaged(number, "is named twice");
  }
  taken_.push_back({number, count});
}

void LmdbFile::check_shared() {
  std::sort(taken_.begin(), taken_.end(), [](const Pages& one, const Pages& other) { return one.first < other.first; });
  uint64_t end = 0;
  for (const Pages& pages : taken_) {
    if (pages.first < end) {
      damaged(pages.first, "is named twice");
    }
    end = pages.first + pages.count;
  }
}

void LmdbFile::descend(uint64_t number, uint64_t level, const std::string& least, const std::string* below) {
  const uint64_t size = meta_.page_size;
  claim(number, 1);
  const std::string content = read(number * size, size);
  const Head head(content);
  if (head.number != number || head.kind != (level == 1 ? kLeaf : kBranch)) {
    damaged(number, std::string("is not the ") + (level == 1 ? "leaf" : "branch") + " that it should be");
  }
  if (head.lower < kHead || head.lower > head.upper || head.upper > size || head.lower % 2 != 0) {
    damaged(number, "states a table of nodes that does not fit");
  }
  std::vector<uint64_t> nodes;
  for (uint64_t at = kHead; at < head.lower; at += 2) {
    nodes.push_back(number_at(content, at, 2));
  }
  if (nodes.size() < (level == 1 ? 1u : 2u)) {
    damaged(number, "contains too few nodes");
  }
  for (const uint64_t node : nodes) {
    if (node < head.upper || node > size - kNode) {
      damaged(number, "contains a node that does not fit");
    }
  }
  if (level == 1) {
    leaf(number, content, nodes, least, below);
  } else {
    branch(number, content, nodes, level, least, below);
  }
}

void LmdbFile::branch(
    uint64_t number, const std::string& content, const std::vector<uint64_t>& nodes, uint64_t level,
    const std::string& least, const std::string* below) {
  std::vector<uint64_t> children;
  std::vector<std::string> keys;
  for (const uint64_t node : nodes) {
    const uint64_t length = number_at(content, node + 6, 2);
    if (node + kNode + length > content.size()) {
      damaged(number, "contains a node that does not fit");
    }
    children.push_back(number_at(content, node, 6));
    keys.push_back(keys.empty() ? least : content.substr(node + kNode, length));  // the first one's stands for any
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string* end = i + 1 < keys.size() ? &keys[i + 1] : below;
    if (keys[i] < least || (end != nullptr && keys[i] >= *end)) {
      damaged(number, "contains keys that are out of order");
    }
    descend(children[i], level - 1, keys[i], end);
  }
}

void LmdbFile::leaf(
    uint64_t number, const std::string& content, const std::vector<uint64_t>& nodes, const std::string& least,
    const std::string* below) {
  const uint64_t size = meta_.page_size;
  const std::string* previous = nullptr;
  for (const uint64_t node : nodes) {
    const uint64_t value = number_at(content, node, 4), flags = number_at(content, node + 4, 2);
    const uint64_t length = number_at(content, node + 6, 2), start = node + kNode + length;
    const uint64_t end = start + ((flags & kInPages) != 0 ? 8 : value);
    if (end > content.size() || length == 0 || (flags != 0 && flags != kInPages && flags != kSubtable)) {
      damaged(number, "contains a node that does not fit");
    }
    std::string key = content.substr(start - length, length);
    if (key < least || (below != nullptr && key >= *below) || (previous != nullptr && key <= *previous)) {
      damaged(number, "contains keys that are out of order");
    }
    if ((flags & kInPages) != 0) {
      const uint64_t first = number_at(content, start, 8);
      claim(first, (kHead + value + size - 1) / size);
      places_.push_back({first * size + kHead, value, first});
    } else {
      places_.push_back({number * size + start, value, kInLeaf});
    }
    keys_.push_back(std::move(key));
    previous = &keys_.back();
  }
}

void LmdbFile::fail(const std::string& what) const {
  throw std::runtime_error(path_ + " " + what);
}

void LmdbFile::damaged(uint64_t page, const std::string& what) const {
  fail("is damaged: page " + std::to_string(page) + " " + what + kRemedy);
}

void LmdbFile::truncated(uint64_t size) const {
  fail("is truncated: " + std::to_string(opened_.size) + " bytes of " + std::to_string(size) + kRemedy);
}

void LmdbFile::changed() const {
  fail("has changed while it was read; run again when nothing writes to it");
}

}  // namespace vmz
