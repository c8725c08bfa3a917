// SPDX-License-Identifier: MIT
// GENEVE options in a frame whose other parts are sound, compared with a walk written from RFC 8926's text alone.
// The input: a byte of options, the number of 4-byte words of GENEVE options (6 bits), that of the inner tunnel, the
// lengths that the headers claim instead, how many bytes the capture cut off, then the options, then what is inside.
// Option bits: 1 outer IPv6, 2 egress, 4 inner Ethernet, 8 inner IPv6, 16 what is inside comes from the input, 32 the
// headers claim the lengths of the input, 64 cut by the capture, 128 a tunnel in the tunnel.
#include <optional>
#include <span>
#include <vector>

#include "checks.h"

using namespace fffa::fuzz;

namespace {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;

constexpr std::size_t kHead = 6;
enum : std::uint8_t { outer6 = 1, egress = 2, ethernet = 4, inner6 = 8, wild = 16, claim = 32, cut = 64, nested = 128 };

// What the options of one tunnel say.
struct Model {
  bool valid = false;
  std::optional<std::uint64_t> endpoint, attachment;
  std::optional<std::uint32_t> cookie;
};

std::uint64_t big_endian(View bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

Model walk(View options) {
  Model model;
  while (options.size() >= 4) {
    const std::size_t length = (options[3] & 0x1fu) * 4;
    if (4 + length > options.size()) return model;
    const View data = options.subspan(4, length);
    if (big_endian(options.first(2)) == 0x0108) {
      if (options[2] == 1 && length == 8) model.endpoint = big_endian(data);
      if (options[2] == 2 && length == 8) model.attachment = big_endian(data);
      if (options[2] == 3 && length == 4) model.cookie = static_cast<std::uint32_t>(big_endian(data));
    }
    options = options.subspan(4 + length);
  }
  model.valid = options.empty();
  return model;
}

void put16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put(Bytes& out, View bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_ip(Bytes& out, bool v6, std::uint8_t proto, View payload) {
  if (v6) {
    put(out, Bytes{0x60, 0, 0, 0});
    put16(out, payload.size());
    put(out, Bytes{proto, 64});
    for (int i = 0; i < 32; ++i) out.push_back(static_cast<std::uint8_t>(0x20 + i));
  } else {
    put(out, Bytes{0x45, 0});
    put16(out, payload.size() + 20);
    put(out, Bytes{0, 0, 0, 0, 64, proto, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2});
  }
  put(out, payload);
}

void put_ethernet(Bytes& out, bool v6) {
  out.insert(out.end(), 12, 2);
  put16(out, v6 ? FFFA_ETH_IPV6 : FFFA_ETH_IPV4);
}

// UDP and GENEVE around `inside`, whose EtherType is `type`.
Bytes tunnel(View options, std::uint8_t claimed_words, std::uint8_t vni, std::uint16_t type, View inside) {
  Bytes out;
  put16(out, 50000);
  put16(out, FFFA_GENEVE_PORT);
  put16(out, 16 + options.size() + inside.size());
  put16(out, 0);
  put(out, Bytes{claimed_words, 0});
  put16(out, type);
  put(out, Bytes{0, 0, vni, 0});
  put(out, options);
  put(out, inside);
  return out;
}

struct Frame {
  Bytes bytes;
  Bytes outer_options, inner_options;
  std::size_t inner_size = 0;  // of the innermost IP packet, where it was made here
};

Bytes inner_packet(std::uint8_t flags, View rest, Frame& frame) {
  Bytes inner;
  if (flags & ethernet) put_ethernet(inner, (flags & inner6) != 0);
  if (flags & wild) {
    put(inner, rest);
  } else {
    Bytes tcp = {0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0, 0, 0, 0, 0};
    const std::size_t before = inner.size();
    put_ip(inner, (flags & inner6) != 0, FFFA_PROTO_TCP, tcp);
    frame.inner_size = inner.size() - before;
  }
  return inner;
}

Frame build(std::uint8_t flags, std::uint8_t outer_claim, std::uint8_t inner_claim, View outer_options,
            View inner_options, View rest) {
  Frame frame;
  frame.outer_options.assign(outer_options.begin(), outer_options.end());
  frame.inner_options.assign(inner_options.begin(), inner_options.end());
  std::uint16_t type = flags & ethernet ? FFFA_ETH_BRIDGED : flags & inner6 ? FFFA_ETH_IPV6 : FFFA_ETH_IPV4;
  Bytes inside = inner_packet(flags, rest, frame);
  if (flags & nested) {
    const Bytes second = tunnel(inner_options, inner_claim, 2, type, inside);
    inside.clear();
    put_ip(inside, false, FFFA_PROTO_UDP, second);
    type = FFFA_ETH_IPV4;
  }
  put_ethernet(frame.bytes, (flags & outer6) != 0);
  put_ip(frame.bytes, (flags & outer6) != 0, FFFA_PROTO_UDP, tunnel(outer_options, outer_claim, 1, type, inside));
  return frame;
}

void require_ids(const fffa_packet& p, const Model& model) {
  const auto& outer = p.outer;
  require(((outer.gwlb & FFFA_GWLB_ENDPOINT) != 0) == model.endpoint.has_value());
  require(((outer.gwlb & FFFA_GWLB_ATTACHMENT) != 0) == model.attachment.has_value());
  require(((outer.gwlb & FFFA_GWLB_COOKIE) != 0) == model.cookie.has_value());
  require(outer.gwlb_endpoint == model.endpoint.value_or(0));
  require(outer.gwlb_attachment == model.attachment.value_or(0));
  require(outer.gwlb_cookie == model.cookie.value_or(0));
}

// What is inside was made here and nothing is cut: then the options alone decide.
void check_exact(const fffa_packet& p, const Frame& frame, std::uint8_t flags) {
  const Model outer = walk(frame.outer_options), inner = walk(frame.inner_options);
  const int expected = !outer.valid ? 0 : flags & nested ? 1 + inner.valid : 1;
  require(p.key.encap_depth == expected);
  require(p.note == (expected == (flags & nested ? 2 : 1) ? FFFA_OK : FFFA_BAD_TUNNEL));
  if (!expected) {
    require(p.key.proto == FFFA_PROTO_UDP && p.bytes == frame.bytes.size() - 14);
    return;
  }
  require(p.outer_bytes == frame.bytes.size() - 14 && p.key.vni == static_cast<std::uint32_t>(expected));
  require(p.outer.vni == 1);
  require_ids(p, outer);
  if (p.note) return;
  require(p.tcp && p.bytes == frame.inner_size && p.payload == 0 && p.seq == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kHead) return 0;
  const View head(data, kHead);
  View rest(data + kHead, size - kHead);
  const std::uint8_t flags = head[0];
  const auto take = [&rest](std::size_t words) {
    Bytes options(4 * words);  // zeros where the input ends
    const std::size_t there = options.size() < rest.size() ? options.size() : rest.size();
    if (there) std::memcpy(options.data(), rest.data(), there);
    rest = rest.subspan(there);
    return options;
  };
  const Bytes outer_options = take(head[1] & 63), inner_options = take(flags & nested ? head[2] & 63 : 0);
  const auto words = [](const Bytes& options) { return static_cast<std::uint8_t>(options.size() / 4); };
  const Frame frame = build(flags, flags & claim ? head[3] : words(outer_options),
                            flags & claim ? head[4] : words(inner_options), outer_options, inner_options, rest);
  std::size_t captured_size = frame.bytes.size();
  if (flags & cut) captured_size -= captured_size < head[5] ? captured_size : head[5];
  const Captured captured(frame.bytes.data(), captured_size);
  fffa_frame parsed = captured.frame();
  parsed.length = static_cast<std::uint32_t>(frame.bytes.size());
  fffa_packet packet;
  const int reason = parse_checked(parsed, packet, flags & egress ? FFFA_EGRESS : FFFA_INGRESS, false);
  if (!(flags & (wild | claim | cut))) {
    require(reason == FFFA_OK);
    check_exact(packet, frame, flags);
  }
  return 0;
}
