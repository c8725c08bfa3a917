// SPDX-License-Identifier: MIT
// Result<T>: a value or an Error, never ignored. Exceptions are for bugs only.
#pragma once

#include <cerrno>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace fffa {

// What the runtime does about an error that a sink returns; elsewhere only the text matters.
enum class Disposition : std::uint8_t {
  retry,        // the batch was not taken: the same batch is offered again after a pause
  reject,       // this batch will never be taken: the sink's on_reject decides (hold, dead_letter, drop)
  fatal,        // the stage cannot go on: it is stopped and rebuilt by the runtime, or ends the run
  unavailable,  // this machine does not allow it: a privilege or a kernel feature is missing. A source that cannot
                // start so ends the run with exit code 3
  gone,  // a sink's other end has left for good, as the reader of a pipe: the batch and all that follow are lost,
         // the sink is closed and not rebuilt. A run whose sinks are all gone ends
};

// How much of a batch.
struct Part {
  std::uint64_t records = 0;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

// One error for its reader: operation, object and cause are in `message` ("open /x/y: Permission denied").
struct Error {
  std::string message;
  Disposition disposition = Disposition::fatal;
  int system_errno = 0;  // errno where a system call failed, else 0
  Part refused{};  // of a rejection: what of the batch was refused, the rest being delivered; 0 records: all of it
};

// Either a T or an Error. Cheap to move; not thread-safe.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() { return std::get<1>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}
  bool ok() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return ok(); }
  Error& error() { return error_; }
  const Error& error() const { return error_; }

 private:
  Error error_;
  bool failed_ = false;
};

// How a constructor says that it cannot do its work, since it returns nothing: throw
// fffa::Failure(system_error("open /x/y")). The host gets the error as it is, disposition included. Everywhere else
// return the error.
class Failure : public std::exception {
 public:
  explicit Failure(Error error) : error_(std::move(error)) {}
  const char* what() const noexcept override { return error_.message.c_str(); }
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

// Makers. `what` names the operation and its object.
Error retry(std::string_view what);
Error reject(std::string_view what);
Error fail(std::string_view what);
Error unavailable(std::string_view what);
Error gone(std::string_view what);
// fail() with the text of `error_number` appended: "open /x/y: No space left on device".
Error system_error(std::string_view what, int error_number = errno, Disposition disposition = Disposition::fatal);

}  // namespace fffa
