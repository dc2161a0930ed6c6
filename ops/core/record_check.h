// What the arguments ask of a record, and what its video is opened by.
#pragma once

#include "core/arguments.h"
#include "core/database/record.h"
#include "core/decoding/opened.h"

namespace vmz {

// Throws RequestError where the record lacks what the arguments ask of it: the fault of the whole database, so it is
// never skipped.
void check_record(const Record& record, const VideoInputArgs& args);

// Whether a record's video is short enough for a path, and has no null byte.
bool could_be_path(const Record& record);

// What to open. Throws BadRecord where the record plainly holds the other of the two, path or bytes.
VideoSource source_of(const Record& record, const VideoInputArgs& args);

}  // namespace vmz
