#include "core/decoding/containers.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

namespace vmz {

// Sound alone is listed too, so that the reason is that there is no video stream.
const char* const kFormats =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,live_flv,kux,asf,asf_o,ogg,rm,mxf,dv,ivf,gif,"
    "yuv4mpegpipe,mpegvideo,m4v,h261,h263,h264,hevc,vvc,obu,av1,vc1,vc1test,cavsvideo,dirac,mjpeg,"
    "aac,ac3,aiff,flac,mp3,wav,"
    "bmp_pipe,dds_pipe,dpx_pipe,exr_pipe,gif_pipe,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_pipe,pam_pipe,pbm_pipe,"
    "pcx_pipe,pgm_pipe,png_pipe,ppm_pipe,psd_pipe,qoi_pipe,sgi_pipe,sunrast_pipe,tiff_pipe,webp_pipe,xbm_pipe,"
    "xpm_pipe,xwd_pipe";
const char* const kNoProtocol = "none";
const char* const kOtherFormat =
    "its format is not one of those supported: MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, ASF, Ogg and the like";
const char* const kElsewhere = "its pictures are in another file, which is not opened";
const char* const kSoundElsewhere = "its sound is in another file, which is not opened";
const char* const kPictures = "vide";
const char* const kSound = "soun";

namespace {

constexpr size_t kHeadBytes = 4096;
constexpr size_t kTextBytes = 512;  // that tell a text from a container
constexpr int kMaxBoxes = 100000;   // of an MP4 that are looked at; a large one has some hundreds outside its tables
constexpr const char* kBlank = " \t\r\n\v\f";

using Kind = std::pair<const char*, const char*>;

// How a file begins, in lower case and without blanks, and what it is. The first that fits counts.
constexpr Kind kBeginnings[] = {
    {"#extm3u", "an HLS or M3U playlist"},
    {"ffconcat", "an ffconcat list"},
    {"v=0", "an SDP description"},
    {"nut/multimedia container", "a NUT file"},
    {"[playlist]", "a PLS playlist"},
    {"[reference]", "an ASX playlist"},
    {";ffmetadata", "FFmpeg metadata"},
    {"webvtt", "subtitles"},
    {"[script info]", "subtitles"},
    {"[information]", "subtitles"},
    {"# vobsub", "subtitles"},
    {"scenarist_scc", "subtitles"},
};
// The same for XML, anywhere at its beginning
constexpr Kind kElements[] = {
    {"<mpd", "a DASH manifest"},
    {"<smoothstreamingmedia", "a Smooth Streaming manifest"},
    {"<compositionplaylist", "an IMF playlist"},
    {"<assetmap", "an IMF playlist"},
    {"<playlist", "an XSPF playlist"},
    {"<asx", "an ASX playlist"},
    {"<smil", "a SMIL playlist"},
    {"<sami", "subtitles"},
    {"<tt", "subtitles"},
    {"<svg", "an SVG drawing"},
    {"<html", "a web page"},
    {"<!doctype html", "a web page"},
};
constexpr const char* kSchemes[] = {
    "data:", "concat:", "subfile,", "file:", "pipe:", "cache:", "async:", "crypto:", "tee:"};

bool begins(const std::string& text, const char* beginning) {
  return text.compare(0, std::strlen(beginning), beginning) == 0;
}

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

// Reads a text against a pattern, a piece after the other.
class Scan {
 public:
  explicit Scan(const std::string& text) : text_(text) {}

  // So many characters of a kind, `least` or more, `most` or fewer.
  bool some(const std::function<bool(char)>& kind, size_t least, size_t most = std::string::npos) {
    size_t count = 0;
    while (at_ < text_.size() && count < most && kind(text_[at_])) {
      ++at_;
      ++count;
    }
    return count >= least;
  }
  bool digits(size_t least, size_t most = std::string::npos) {
    return some(is_digit, least, most);
  }
  bool blanks(size_t least) {
    return some([](char one) { return std::strchr(kBlank, one) != nullptr && one != 0; }, least);
  }
  bool one_of(const char* letters) {
    return some([letters](char one) { return std::strchr(letters, one) != nullptr && one != 0; }, 1, 1);
  }
  bool word(const char* text) {
    const size_t length = std::strlen(text);
    const bool found = text_.compare(at_, length, text) == 0;
    at_ += found ? length : 0;
    return found;
  }

 private:
  const std::string& text_;
  size_t at_ = 0;
};

bool is_subtitles(const std::string& text) {
  Scan srt(text), frames(text), lyrics(text);
  return (srt.digits(1) && srt.blanks(1) && srt.digits(2, 2) && srt.word(":") && srt.digits(2, 2) && srt.word(":") &&
          srt.digits(2, 2) && srt.one_of(",.") && srt.digits(1) && srt.blanks(0) && srt.word("-->")) ||
      (frames.word("{") && frames.digits(0) && frames.word("}{") && frames.digits(0) && frames.word("}")) ||
      (lyrics.word("[") && lyrics.digits(1) && lyrics.word(":") && lyrics.digits(2, 2) && lyrics.one_of(".:") &&
       lyrics.digits(1) && lyrics.word("]"));
}

bool is_address(const std::string& text) {
  const auto letter = [](char one) { return one >= 'a' && one <= 'z'; };
  const auto scheme = [letter](char one) {
    return letter(one) || is_digit(one) || one == '+' || one == '.' || one == '-';
  };
  Scan scan(text);
  if (scan.some(letter, 1, 1) && scan.some(scheme, 0) && scan.word("://")) {
    return true;
  }
  return std::any_of(
      std::begin(kSchemes), std::end(kSchemes), [&text](const char* name) { return begins(text, name); });
}

// Whether it is UTF-8, but for a last character that is cut.
bool is_utf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead > 0xF4 || (lead >= 0x80 && lead < 0xC2)) {
      return false;
    }
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    for (size_t i = 1; i < length && at + i < text.size(); ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      const bool low = i == 1 && ((lead == 0xE0 && next < 0xA0) || (lead == 0xF0 && next < 0x90));
      const bool high = i == 1 && ((lead == 0xED && next > 0x9F) || (lead == 0xF4 && next > 0x8F));
      if ((next & 0xC0) != 0x80 || low || high) {
        return false;
      }
    }
    at += length;
  }
  return true;
}

bool is_text(const std::string& head) {
  const bool shown = std::all_of(head.begin(), head.end(), [](char letter) {
    const auto byte = static_cast<unsigned char>(letter);
    return (byte >= 9 && byte <= 13) || (byte >= 32 && byte != 127);
  });
  return !head.empty() && shown && is_utf8(head);
}

// A video or a picture whose file begins as a text does.
bool is_text_container(const std::string& head) {
  if (begins(head, "YUV4MPEG2") || begins(head, "/* XPM") || begins(head, "#define")) {
    return true;
  }
  return head.size() > 2 && head[0] == 'P' && head[1] != 0 && std::strchr("1234567fF", head[1]) != nullptr &&
      head[2] != 0 && std::strchr(kBlank, head[2]) != nullptr;
}

std::string head_of(const Input& input) {
  std::string head(kHeadBytes, '\0');
  head.resize(input.read_at(0, reinterpret_cast<uint8_t*>(&head[0]), head.size()));
  if (begins(head, "\xff\xfe") || begins(head, "\xfe\xff")) {  // UTF-16
    head.erase(0, 2);
    head.erase(std::remove(head.begin(), head.end(), '\0'), head.end());
  }
  return head;
}

std::string is_a(const char* kind) {
  return std::string("it is ") + kind + ", not a video";
}

// The boxes of an MP4: length (4 bytes, 1: 8 more hold it, 0: to the end), type, content.
class Boxes {
 public:
  explicit Boxes(const Input& input) : input_(input) {}

  bool any_elsewhere(const std::string& handler) {
    for (const Box& movie : within({"", 0, input_.size()})) {
      if (movie.kind != "moov") {
        continue;
      }
      const std::vector<Box> parts = within(movie);
      if (std::any_of(parts.begin(), parts.end(), [this, &handler](const Box& part) {
            return part.kind == "rmra" || (part.kind == "trak" && is_elsewhere(part, handler));
          })) {
        return true;
      }
    }
    return false;
  }

 private:
  struct Box {
    std::string kind;
    int64_t at, end;  // of its content
  };

  // Whether a track of this handler names a file in any entry of its table of data references.
  bool is_elsewhere(const Box& track, const std::string& handler) {
    if (read(find({"mdia", "hdlr"}, track), 8, 4) != handler) {
      return false;
    }
    const Box table = find({"mdia", "minf", "dinf", "dref"}, track);
    const std::vector<Box> entries = within({"", table.at + 8, table.end});
    return std::any_of(entries.begin(), entries.end(), [this](const Box& entry) { return names_a_file(entry); });
  }

  bool names_a_file(const Box& entry) const {
    const std::string flags = read(entry, 0, 4);
    const bool inside = flags.size() < 4 || (flags[3] & 1) != 0;
    const std::string& kind = entry.kind;
    return !inside && (kind == "url " || kind == "urn " || kind == "alis" || kind == "rsrc") &&
        entry.end - entry.at > 5;
  }

  // The first box of this path; an empty place where there is none.
  Box find(const std::vector<std::string>& path, Box box) {
    for (const std::string& wanted : path) {
      const std::vector<Box> boxes = within(box);
      const auto found =
          std::find_if(boxes.begin(), boxes.end(), [&wanted](const Box& one) { return one.kind == wanted; });
      box = found == boxes.end() ? Box{"", box.end, box.end} : *found;
    }
    return box;
  }

  std::vector<Box> within(const Box& outer) {
    std::vector<Box> boxes;
    for (int64_t at = outer.at; at + 8 <= outer.end && left_ > 0; --left_) {
      const std::string head = read({"", at, outer.end}, 0, 16);
      if (head.size() < 8) {
        break;
      }
      uint64_t length = big(head, 0, 4);
      int64_t skip = 8;
      if (length == 1 && head.size() == 16) {
        length = big(head, 8, 8);
        skip = 16;
      } else if (length == 0) {
        length = static_cast<uint64_t>(outer.end - at);
      }
      if (length < static_cast<uint64_t>(skip)) {
        break;
      }
      const auto left = static_cast<uint64_t>(outer.end - at);
      boxes.push_back({head.substr(4, 4), at + skip, at + static_cast<int64_t>(std::min(length, left))});
      if (length >= left) {
        break;
      }
      at += static_cast<int64_t>(length);
    }
    return boxes;
  }

  static uint64_t big(const std::string& bytes, size_t first, size_t count) {
    uint64_t value = 0;
    for (size_t i = first; i < first + count; ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
  }

  // Up to `count` bytes of a box's content, from `first` on.
  std::string read(const Box& box, int64_t first, int64_t count) const {
    const int64_t at = box.at + first, there = std::max<int64_t>(0, std::min(count, box.end - at));
    std::string bytes(static_cast<size_t>(there), '\0');
    bytes.resize(there == 0 ? 0 : input_.read_at(at, reinterpret_cast<uint8_t*>(&bytes[0]), bytes.size()));
    return bytes;
  }

  const Input& input_;
  int left_ = kMaxBoxes;
};

}  // namespace

std::string refusal(const Input& input) {
  const std::string head = head_of(input);
  std::string text = begins(head, "\xef\xbb\xbf") ? head.substr(3) : head;
  text.erase(0, std::min(text.find_first_not_of(kBlank), text.size()));
  std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  for (const Kind& kind : kBeginnings) {
    if (begins(text, kind.first)) {
      return is_a(kind.second);
    }
  }
  if (is_text_container(head) || !is_text(head.substr(0, kTextBytes))) {
    return "";
  }
  if (begins(text, "<")) {
    for (const Kind& kind : kElements) {
      if (text.find(kind.first) != std::string::npos) {
        return is_a(kind.second);
      }
    }
  }
  return is_a(is_subtitles(text) ? "subtitles" : is_address(text) ? "an address" : "text");
}

bool lies_elsewhere(const Input& input, const std::string& handler) {
  return Boxes(input).any_elsewhere(handler);
}

}  // namespace vmz
