// Bytes of a database as text that can be shown anywhere.
#pragma once

#include <string>

namespace vmz {

// A record's key: other bytes than printable ASCII as \\xNN.
std::string printable_key(const std::string& bytes);

// A path or another text: what is no UTF-8, and control characters, as \\xNN.
std::string printable(const std::string& bytes);

// A path as text that can be shown, its first bytes where it is endless.
std::string shown_path(const std::string& path);

// "record 29 (abseiling/x7f.mp4)"; `path` may be empty.
std::string record_name(const std::string& key, const std::string& path);

}  // namespace vmz
