// SPDX-License-Identifier: MIT
// The topic of a record: fixed, or made from its fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fffa/fields.h"
#include "fffa/result.h"
#include "fffa/text.h"
#include "fffa_kafka/topic_name.h"

namespace fffa::kafka {

class TopicTemplate {
 public:
  // "flows-${aws_vpc}". An error names what is wrong with it.
  static Result<TopicTemplate> parse(std::string_view text);
  // The same for every record.
  bool fixed() const noexcept { return parts_.size() == 1 && parts_.front().field == nullptr; }
  // Writes the topic to `name`. A field that is null gives `unknown`; characters that no topic may have become `_`, so
  // that nothing from a record leads anywhere else.
  void expand(const FlowRecord& record, const TextTable& texts, std::string& name) const;

 private:
  struct Part {
    std::string text;
    const Field* field = nullptr;
  };
  std::vector<Part> parts_;
};

}  // namespace fffa::kafka
