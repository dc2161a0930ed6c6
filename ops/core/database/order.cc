#include "core/database/order.h"

#include <algorithm>
#include <utility>

#include "core/common/random.h"

namespace vmz {
namespace {

constexpr uint64_t kShuffleSalt = 0x73687566666c65u;  // "shuffle": or the draws for a video would go with its place

}  // namespace

std::vector<int64_t> permutation(uint64_t seed, int64_t turn, int64_t records) {
  std::vector<std::pair<uint64_t, int64_t>> hashed;
  hashed.reserve(static_cast<size_t>(records));
  for (int64_t record = 0; record < records; ++record) {
    Random random(seed ^ kShuffleSalt, static_cast<uint64_t>(turn), static_cast<uint64_t>(record));
    hashed.emplace_back(random.bits(), record);
  }
  std::sort(hashed.begin(), hashed.end());
  std::vector<int64_t> order;
  order.reserve(hashed.size());
  for (const auto& one : hashed) {
    order.push_back(one.second);
  }
  return order;
}

ReadingOrder::ReadingOrder(int64_t records, const VideoInputArgs& args)
    : records_(records),
      batch_(args.batch_size),
      shard_(args.shard_index),
      shards_(args.shard_count),
      one_turn_(!args.wrap_around),
      shuffle_(args.shuffle != 0),
      seed_(static_cast<uint64_t>(args.seed)) {}

bool ReadingOrder::at(int64_t position, Place* place) {
  const int64_t number = (position / batch_ * shards_ + shard_) * batch_ + position % batch_;
  *place = {number / records_, number % records_};
  if (one_turn_ && place->turn > 0) {
    return false;
  }
  if (shuffle_) {
    if (place->turn != shuffled_turn_) {
      shuffled_ = permutation(seed_, place->turn, records_);
      shuffled_turn_ = place->turn;
    }
    place->record = shuffled_[static_cast<size_t>(place->record)];
  }
  return true;
}

}  // namespace vmz
