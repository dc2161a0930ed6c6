#include "core/audio/alignment.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vmz {
namespace {

// Numbers of frames come from files, and damaged ones state anything.
__extension__ typedef __int128 Wide;

constexpr int64_t kMostFrames = int64_t{1} << 40;

int64_t share(int64_t of, int64_t times, int64_t by) {
  const Wide found = Wide{of} * times / by;
  return static_cast<int64_t>(std::min(found, Wide{std::numeric_limits<int64_t>::max() / 4}));
}

// The rows of a video, seen at another rate: resized as OpenCV does, of which only the rows that a clip takes are made.
class Resized {
 public:
  Resized(const LogMels& rows, int64_t count) : rows_(rows), count_(count) {}

  int64_t count() const {
    return count_;
  }
  void keep(int64_t start, int64_t count) {
    offset_ = std::min(start, count_);
    kept_ = std::min(count, count_ - offset_);
  }
  int64_t kept() const {
    return kept_ < 0 ? count_ : kept_;
  }

  void write(int64_t number, float* out) const {
    const int64_t columns = rows_.columns, there = rows_.rows();
    const int64_t place = number + offset_;
    if (count_ < there) {
      const float* row = rows_.row(static_cast<int64_t>(Wide{place} * there / count_));
      std::copy(row, row + columns, out);
      return;
    }
    const double scale = static_cast<double>(there) / static_cast<double>(count_);
    auto position = static_cast<float>((static_cast<double>(place) + 0.5) * scale - 0.5);
    auto below = static_cast<int64_t>(std::floor(position));
    position -= static_cast<float>(below);
    if (below < 0) {
      below = 0;
      position = 0;
    }
    const float* low = rows_.row(std::min(below, there - 1));
    const float* high = rows_.row(std::min(below + 1, there - 1));
    for (int64_t i = 0; i < columns; ++i) {
      out[i] = low[i] * (1 - position) + high[i] * position;
    }
  }

 private:
  const LogMels& rows_;
  const int64_t count_;
  int64_t offset_ = 0, kept_ = -1;
};

// Before the clips are taken: how the rows are stretched, and which remain.
Resized aligned_rows(const LogMels& rows, const VideoInputArgs& args, const Aligned& by) {
  const AudioArgs& audio = args.audio;
  const int64_t k = rows.rows(), wanted = audio.logmel_frames, length = audio.audio_length;
  if (by.frames == 0 || audio.align_audio == kNoAlignment) {
    return Resized(rows, k);
  }
  const bool centred = audio.align_audio == kCentred;
  if (audio.align_audio == kStretched || length > 0) {
    const int64_t covered = audio.align_audio == kStretched ? by.needed : length;
    Resized resized(rows, share(by.frames, wanted, covered));
    if (args.decode_type != kUniform) {
      int64_t first = by.first;
      if (centred && length != by.needed) {
        first = std::max<int64_t>(0, first + by.needed / 2 - length / 2);
      }
      resized.keep(share(first, resized.count(), by.frames), wanted);
    }
    return resized;
  }
  Resized cut(rows, k);
  if (args.clips() == 1 && k >= wanted) {
    int64_t start = share(by.first, k, by.frames);
    if (centred) {
      const int64_t end = share(by.first + by.needed, k, by.frames);
      start = std::max<int64_t>(0, (start + end) / 2 - wanted / 2);
    }
    cut.keep(start, wanted);
  }
  return cut;
}

// Where clip `number` begins among `k` rows.
int64_t start_of(int64_t number, int64_t k, const VideoInputArgs& args, const Aligned& by) {
  const int64_t wanted = args.audio.logmel_frames, clips = args.clips();
  const bool placed = args.audio.align_audio > kStretched && clips > 1;
  const int64_t past =
      placed && args.decode_type == kUniform && by.frames > 0 ? wanted - share(by.needed, k, by.frames) : 0;
  const float stride =
      static_cast<float>(std::max<int64_t>(0, k + past - wanted)) / static_cast<float>(std::max<int64_t>(1, clips - 1));
  const float at = static_cast<float>(number) * stride;
  float shift = 0;
  if (placed) {
    if (at + static_cast<float>(wanted) > static_cast<float>(k)) {
      shift = at + static_cast<float>(wanted) - static_cast<float>(k);
    } else if (args.audio.align_audio == kCentred) {
      shift = static_cast<float>(past) / 2;
    }
  }
  return std::max<int64_t>(0, static_cast<int64_t>(std::floor(at - shift)));
}

}  // namespace

void write_log_mels(const LogMels& rows, const VideoInputArgs& args, const Aligned& aligned, float* out) {
  Aligned by{
      std::min(aligned.frames, kMostFrames), std::min(aligned.needed, kMostFrames),
      std::min(aligned.first, kMostFrames)};
  if (rows.rows() == 0 || !args.get_rgb) {
    by.frames = 0;
  }
  const Resized resized = aligned_rows(rows, args, by);
  const int64_t wanted = args.audio.logmel_frames, columns = args.audio.logmel_filters, k = resized.kept();
  std::fill_n(out, args.logmel_video_values(), 0.0f);
  for (int64_t clip = 0; clip < args.clips(); ++clip, out += wanted * columns) {
    const int64_t start = start_of(clip, k, args, by);
    for (int64_t row = 0; row < wanted && start + row < k; ++row) {
      resized.write(start + row, out + row * columns);
    }
  }
}

}  // namespace vmz
