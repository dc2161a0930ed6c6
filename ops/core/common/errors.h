// What can go wrong, by what a caller can do about it.
#pragma once

#include <stdexcept>
#include <string>

namespace vmz {

// The request itself is wrong: an argument, or a database that lacks what the arguments ask of it. Never skipped. About
// a record the message begins with "record" and its key.
struct RequestError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A record that gives no clips. The message is the reason only: the caller knows which record it was.
struct BadRecord : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One whose sound is missing, where that is to be an error.
struct MissingSound : BadRecord {
  using BadRecord::BadRecord;
};

// A record that gave no clips, while such records must stop the reader, or no record that gives any.
struct BadVideoError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One pass over the database is over. The message starts with "EndOfData".
struct EndOfData : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace vmz
