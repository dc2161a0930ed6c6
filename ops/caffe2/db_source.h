// Records out of Caffe2's DBReader, with their places in the database.
#pragma once

#include <memory>

#include "caffe2/core/blob.h"
#include "core/reader.h"

namespace vmz {

// A source on the DBReader in `blob`.
//
// In the database's own order, whatever its DB type: operators that read one blob (one for each device, say) share its
// records among them, and so its passes: with wrap_around=0 each of them ends when the pass that was under way, when
// its source was made, is over. A reader that nobody was reading starts at its first record with wrap_around=0, and
// goes on from where it stands without.
//
// With shuffle, shard_index and shard_count or first_position: by key, in the ReadingOrder of the arguments, whatever
// anyone else reads of the blob. The DB type has to know how to seek (lmdb and leveldb do, minidb does not), and the
// DBReader must not be one shard of several (num_shards of CreateDB).
std::unique_ptr<RecordSource> make_db_source(const caffe2::Blob* blob, const VideoInputArgs& args);

}  // namespace vmz
