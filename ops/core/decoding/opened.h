// A file opened by FFmpeg: its container and what its streams state. Decoding is of video (decoding.h) and of sound
// (core/audio/decoding.h).
#pragma once

#include <memory>
#include <new>
#include <string>

#include "core/common/libav.h"
#include "core/decoding/input.h"

namespace vmz {

// What a record says of its video: its bytes, or the path of the file. Does not own the bytes.
struct VideoSource {
  const char* bytes = nullptr;  // null: `path` counts
  size_t size = 0;
  std::string path;
};

template <class T>
T* allocated(T* object) {
  if (object == nullptr) {
    throw std::bad_alloc();
  }
  return object;
}

// Options of FFmpeg, those of all our decoders: none decodes in threads or a picture that is too large.
class DecoderOptions {
 public:
  DecoderOptions();
  ~DecoderOptions() {
    av_dict_free(&dictionary);
  }
  DecoderOptions(const DecoderOptions&) = delete;
  DecoderOptions& operator=(const DecoderOptions&) = delete;

  AVDictionary* dictionary = nullptr;
};

class OpenedFile {
 public:
  // Throws BadRecord when there is nothing that can be opened.
  OpenedFile(const VideoSource& source, Watch* watch);

  AVFormatContext* format() const {
    return format_.get();
  }
  const Input& input() const {
    return *input_;
  }
  // Throws BadRecord when the watch is over.
  void watch_progress() const;

  // The first video stream, cover pictures passed over, and the first audio stream; null where there is none.
  AVStream* video() const;
  AVStream* sound() const;
  // Whether the sound is that of another file: what FFmpeg gives for it then is not sound.
  bool sound_lies_elsewhere() const;

  // Has packets of this stream read, and of no other that nobody asked for.
  void read_only(const AVStream* stream);
  void read_too(AVStream* stream);

 private:
  Watch* const watch_;
  std::unique_ptr<Input> input_;
  Owned<AVFormatContext> format_;
};

}  // namespace vmz
