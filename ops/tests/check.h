// The smallest test harness that serves: TEST(name) { CHECK(...); } in any file, run by main.cc.
#pragma once

#include <cstdlib>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct Failed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Test {
  const char* name;
  std::function<void()> body;
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(const char* name, std::function<void()> body) {
    tests().push_back({name, std::move(body)});
  }
};

inline void fail(const char* file, int line, const std::string& what) {
  throw Failed(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

template <class A, class B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
  if (!(a == b)) {
    std::ostringstream what;
    what << text << ": " << a << " is not " << b;
    fail(file, line, what.str());
  }
}

// The message of the Error that `body` throws.
template <class Error, class Body>
std::string message_of(const char* file, int line, Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  fail(file, line, "nothing was thrown");
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace check

#define TEST(name)                                                  \
  static void test_##name();                                        \
  static const check::Register register_##name(#name, test_##name); \
  static void test_##name()
#define CHECK(condition) \
  if (!(condition)) check::fail(__FILE__, __LINE__, #condition)
#define CHECK_EQUAL(a, b) check::equal(__FILE__, __LINE__, #a " == " #b, a, b)
#define CHECK_THROWS(Error, part, statement)                                                          \
  do {                                                                                                \
    const std::string thrown = check::message_of<Error>(__FILE__, __LINE__, [&] { statement; });      \
    if (!check::contains(thrown, part)) check::fail(__FILE__, __LINE__, "the message is: " + thrown); \
  } while (false)
