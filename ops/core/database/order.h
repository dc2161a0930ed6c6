// The order in which a reader comes by the records of a database: turn after turn, its own share, shuffled or not.
//
// The Python reader computes the same (lib/vmz/video/database/reading_order.py): in integers, so to the bit.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arguments.h"

namespace vmz {

// The records of a shuffled turn in their order: by a hash of (seed, turn, record).
std::vector<int64_t> permutation(uint64_t seed, int64_t turn, int64_t records);

// Where each video of a reader's own stream lies. The stream of all readers together has the numbers 0, 1, 2, ...:
// number q is the (q % records)-th of turn q / records. It is cut into global batches of batch_size * shard_count, of
// which each reader takes batch_size neighbours, so that what a global batch holds is the same for any number of
// readers.
class ReadingOrder {
 public:
  ReadingOrder(int64_t records, const VideoInputArgs& args);

  struct Place {
    int64_t turn, record;
  };

  // False past the end of the only turn (wrap_around=0).
  bool at(int64_t position, Place* place);

 private:
  int64_t records_, batch_, shard_, shards_;
  bool one_turn_, shuffle_;
  uint64_t seed_;
  int64_t shuffled_turn_ = -1;
  std::vector<int64_t> shuffled_;
};

}  // namespace vmz
