// Records out of Caffe2's DBReader, with their places in the database.
#pragma once

#include <memory>

#include "caffe2/core/blob.h"
#include "core/reader.h"

namespace vmz {

// A source on the DBReader in `blob`, whatever its DB type. Operators that read one blob (one for each device, say)
// share its records among them, and so its passes: with wrap_around=0 each of them ends when the pass that was under
// way, when its source was made, is over. A reader that nobody was reading starts at its first record with
// wrap_around=0, and goes on from where it stands without.
std::unique_ptr<RecordSource> make_db_source(const caffe2::Blob* blob, bool wrap_around);

}  // namespace vmz
