#include "core/common/text.h"

#include <cstdint>
#include <cstdio>

namespace vmz {
namespace {

std::string escaped(unsigned char byte) {
  static const char* digits = "0123456789abcdef";
  return std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
}

// Bytes of the UTF-8 character at `at`, 0 where there is none.
size_t character(const std::string& text, size_t at) {
  const auto byte = [&text](size_t place) {
    return place < text.size() ? static_cast<unsigned char>(text[place]) : static_cast<unsigned char>(0);
  };
  const unsigned char first = byte(at), second = byte(at + 1);
  if (first < 0x80) {
    return 1;
  }
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  // Overlong forms, halves of UTF-16 pairs and what lies beyond Unicode are no characters.
  if (first < 0xC2 || first > 0xF4 || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) {
      return 0;
    }
  }
  return length;
}

// Whether a character is not seen, or turns round what follows: those that lib/vmz/text.py names, too.
bool invisible(uint32_t code) {
  static const uint32_t ranges[][2] = {{0x80, 0x9F},     {0xAD, 0xAD},     {0x61C, 0x61C},     {0x180E, 0x180E},
                                       {0x200B, 0x200B}, {0x200E, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
                                       {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF}, {0xFDD0, 0xFDEF}};
  for (const auto& range : ranges) {
    if (range[0] <= code && code <= range[1]) {
      return true;
    }
  }
  return (code & 0xFFFE) == 0xFFFE;  // no character
}

// The number of the character of `length` bytes at `at`.
uint32_t code_of(const std::string& text, size_t at, size_t length) {
  auto code =
      static_cast<uint32_t>(static_cast<unsigned char>(text[at])) & (length == 1 ? 0x7Fu : 0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
  }
  return code;
}

std::string named(uint32_t code) {
  char text[16];
  std::snprintf(text, sizeof(text), "[U+%04X]", static_cast<unsigned>(code));
  return text;
}

}  // namespace

std::string printable_key(const std::string& bytes) {
  std::string text;
  for (const char letter : bytes) {
    const auto byte = static_cast<unsigned char>(letter);
    text += byte >= 32 && byte < 127 ? std::string(1, letter) : escaped(byte);
  }
  return text;
}

std::string printable(const std::string& bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    const size_t length = character(bytes, at);
    if (length == 0 || byte < 32 || byte == 127) {
      text += escaped(byte);
      ++at;
      continue;
    }
    const uint32_t code = code_of(bytes, at, length);
    text += invisible(code) ? named(code) : bytes.substr(at, length);
    at += length;
  }
  return text;
}

std::string shown_path(const std::string& path) {
  constexpr size_t kShown = 300;
  return printable(path.substr(0, kShown)) + (path.size() > kShown ? "..." : "");
}

std::string record_name(const std::string& key, const std::string& path) {
  return "record " + key + (path.empty() ? "" : " (" + path + ")");
}

}  // namespace vmz
