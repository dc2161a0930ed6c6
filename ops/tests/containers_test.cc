#include "core/decoding/containers.h"

#include <cstdio>
#include <string>

#include "check.h"
#include "core/common/errors.h"
#include "core/decoding/decoding.h"
#include "make_video.h"

using namespace vmz;

namespace {

std::string refused(const std::string& content) {
  return refusal(Input(content.data(), content.size(), nullptr));
}

bool elsewhere(const std::string& content, const std::string& handler = kPictures) {
  return lies_elsewhere(Input(content.data(), content.size(), nullptr), handler);
}

void open(const std::string& content) {
  VideoSource source;
  source.bytes = content.data();
  source.size = content.size();
  Video(source, nullptr);
}

std::string big(size_t value) {
  return {
      static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
      static_cast<char>(value)};
}

std::string box(const std::string& kind, const std::string& content) {
  return big(content.size() + 8) + kind + content;
}

std::string reference(const std::string& kind, bool inside, const std::string& location) {
  return box(kind, std::string("\0\0\0", 3) + (inside ? "\1" : std::string(1, '\0')) + location);
}

// An MP4 of one track, as far as its data references need it.
std::string with_references(const std::string& references, const std::string& handler = "vide") {
  const std::string dref = box("dref", std::string(4, '\0') + big(1) + references);
  const std::string hdlr = box("hdlr", std::string(8, '\0') + handler + std::string(12, '\0'));
  return box("ftyp", "isom") + box("moov", box("trak", box("mdia", hdlr + box("minf", box("dinf", dref)))));
}

}  // namespace

TEST(what_names_other_files_is_told_by_its_beginning) {
  CHECK_EQUAL(refused("#EXTM3U\nhttp://a/b.ts\n"), "it is an HLS or M3U playlist, not a video");
  CHECK_EQUAL(refused("\xef\xbb\xbf \r\n#extm3u\n"), "it is an HLS or M3U playlist, not a video");
  const std::string utf16("\xff\xfe#\0E\0X\0T\0M\0003\0U\0\n\0", 18);
  CHECK_EQUAL(refused(utf16), "it is an HLS or M3U playlist, not a video");
  CHECK_EQUAL(refused("<?xml?>\n<!-- x -->\n<MPD/>"), "it is a DASH manifest, not a video");
  CHECK_EQUAL(refused("ffconcat version 1.0\nfile a\n"), "it is an ffconcat list, not a video");
  CHECK_EQUAL(refused("v=0\no=-\n"), "it is an SDP description, not a video");
  CHECK_EQUAL(refused("1\r\n00:00:00,000 --> 00:00:01,000\n"), "it is subtitles, not a video");
  CHECK_EQUAL(refused("rtsp://a/b"), "it is an address, not a video");
  CHECK_EQUAL(refused("file 'a.mp4'\n"), "it is text, not a video");
  CHECK_EQUAL(refused("caf\xc3\xa9 and a cut character \xe2\x82"), "it is text, not a video");
}

TEST(containers_are_not_taken_for_texts) {
  for (const char* container : {"mov", "matroska"}) {
    CHECK_EQUAL(refused(made::video(5, container)), "");
    open(made::video(5, container));
  }
  const std::string with_zero("text\0", 5);
  for (const std::string& head :
       {std::string("YUV4MPEG2 W64 H48\n"), std::string("P3\n1 1\n"), std::string("\xff\xd8\xff"), with_zero,
        std::string("\x80text"), std::string("\xc0\xaf")}) {
    CHECK_EQUAL(refused(head), "");
  }
}

TEST(other_formats_are_not_opened) {
  CHECK_THROWS(BadRecord, "it is a NUT file, not a video", open(made::video(5, "nut")));
  std::string text = "text";
  CHECK_THROWS(BadRecord, "not a video that can be opened (it is text, not a video)", open(text));
}

TEST(pictures_and_sound_of_another_file) {
  const std::string inside = reference("url ", true, ""), outside = reference("url ", false, "file:///a.mp4");
  for (const char* handler : {kPictures, kSound}) {
    CHECK(elsewhere(with_references(outside, handler), handler));
    CHECK(elsewhere(with_references(inside + outside, handler), handler));
    CHECK(elsewhere(with_references(reference("alis", false, std::string(150, '\0')), handler), handler));
    CHECK(!elsewhere(with_references(inside, handler), handler));
    CHECK(!elsewhere(with_references(reference("url ", false, ""), handler), handler));
  }
  CHECK(!elsewhere(with_references(outside, kSound)));  // the pictures are here
  CHECK(!elsewhere(with_references(outside, "tmcd")));  // which nobody reads
  CHECK(elsewhere(box("moov", box("rmra", box("rmda", box("rdrf", "url"))))));
  CHECK(!elsewhere(made::video(5, "mov")));
}

TEST(damaged_boxes_are_read_within_their_bounds) {
  uint32_t state = 99;
  const auto random = [&state] { return (state = state * 1664525u + 1013904223u) >> 8; };
  const std::string whole = with_references(reference("url ", false, "file:///a.mp4"));
  int found = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = whole;
    for (uint32_t flips = 1 + random() % 4; flips > 0; --flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    damaged.resize(i % 3 == 0 ? 1 + random() % damaged.size() : damaged.size());
    found += elsewhere(damaged);
    refused(damaged);
  }
  CHECK(found > 100);
}
