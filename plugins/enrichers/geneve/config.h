// SPDX-License-Identifier: MIT
// Options of the enricher `geneve`.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "fffa/config.h"

namespace fffa::geneve {

enum class View : std::uint8_t { outer, inner };
enum class Tunnel : std::uint8_t { keep, forget };

// By id, as the record prints it.
using Names = std::map<std::string, std::string>;
struct NameTables {
  Names vni, gwlb_endpoint, gwlb_attachment;
};
struct LabelNames {
  std::string vni = "geneve_vni_name";
  std::string gwlb_endpoint = "gwlb_endpoint_name";
  std::string gwlb_attachment = "gwlb_attachment_name";
};

struct Config {
  View view = View::outer;
  Tunnel tunnel = Tunnel::keep;
  NameTables names;
  LabelNames labels;
};

FFFA_ENUM(View, (outer, "outer", "the outermost packet's tuple"), (inner, "inner", "the innermost packet's tuple"))
FFFA_ENUM(Tunnel, (keep, "keep", "the record says which tunnel the flow was in"),
          (forget, "forget", "as if there were no tunnel: flows that differ in nothing else merge downstream"))

FFFA_CONFIG(NameTables, (vni, "by number"), (gwlb_endpoint, "by `vpce-0` and 16 hex digits"),
            (gwlb_attachment, "by 16 hex digits"))
FFFA_CONFIG(LabelNames, (vni, "of the VNI's name"), (gwlb_endpoint, "of the endpoint's name"),
            (gwlb_attachment, "of the attachment's name"))
FFFA_CONFIG(Config, (view, "what src_ip, src_port, dst_ip and dst_port of an encapsulated flow show"),
            (tunnel, "whether the record keeps what tells its tunnel"),
            (names, "names of ids, by id: they become labels"), (labels, "which labels the names go to"))

}  // namespace fffa::geneve
