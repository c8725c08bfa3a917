// SPDX-License-Identifier: MIT
#include "fffa/result.h"

#include <system_error>

namespace fffa {

Error retry(std::string_view what) {
  return {std::string(what), Disposition::retry, 0};
}
Error reject(std::string_view what) {
  return {std::string(what), Disposition::reject, 0};
}
Error fail(std::string_view what) {
  return {std::string(what), Disposition::fatal, 0};
}
Error unavailable(std::string_view what) {
  return {std::string(what), Disposition::unavailable, 0};
}
Error gone(std::string_view what) {
  return {std::string(what), Disposition::gone, 0};
}

Error system_error(std::string_view what, int error_number, Disposition disposition) {
  return {std::string(what) + ": " + std::generic_category().message(error_number), disposition, error_number};
}

}  // namespace fffa
