// SPDX-License-Identifier: MIT
#include "packet_builder.h"

#include <arpa/inet.h>

#include <stdexcept>

namespace fffa::bpf_test {
namespace {

void put16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}

Bytes address(int family, const std::string& text) {
  Bytes bytes(family == AF_INET ? 4 : 16);
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) throw std::invalid_argument(text);
  return bytes;
}

void append(Bytes& to, const Bytes& what) {
  to.insert(to.end(), what.begin(), what.end());
}

void append_number(Bytes& to, std::uint64_t value, int size) {
  for (int i = size - 1; i >= 0; --i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace

void PacketBuilder::append16(std::uint16_t value) {
  append_number(bytes_, value, 2);
}
void PacketBuilder::append32(std::uint32_t value) {
  append_number(bytes_, value, 4);
}

std::size_t PacketBuilder::begin(Kind kind, std::uint16_t ethertype, std::uint8_t protocol) {
  if (next_size_ == 2) put16(bytes_, next_at_, ethertype);
  if (next_size_ == 1) bytes_.at(next_at_) = protocol;
  next_size_ = 0;
  layers_.push_back({kind, bytes_.size()});
  return bytes_.size();
}

PacketBuilder& PacketBuilder::eth() {
  const auto at = begin(Kind::eth, 0x6558, 0);
  append(bytes_, {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 0});
  next_at_ = at + 12;
  next_size_ = 2;
  return *this;
}

PacketBuilder& PacketBuilder::vlan(std::uint16_t id, std::uint16_t tpid) {
  const auto at = begin(Kind::other, tpid, 0);
  append16(id);
  append16(0);
  next_at_ = at + 2;
  next_size_ = 2;
  return *this;
}

PacketBuilder& PacketBuilder::ipv4(const std::string& src, const std::string& dst, const Bytes& options) {
  const auto at = begin(Kind::ipv4, 0x0800, 4);
  append(bytes_, {static_cast<std::uint8_t>(0x45 + options.size() / 4), 0, 0, 0, 0, 1, 0x40, 0, 64, 0, 0, 0});
  append(bytes_, address(AF_INET, src));
  append(bytes_, address(AF_INET, dst));
  append(bytes_, options);
  next_at_ = at + 9;
  next_size_ = 1;
  return *this;
}

PacketBuilder& PacketBuilder::ipv6(const std::string& src, const std::string& dst) {
  const auto at = begin(Kind::ipv6, 0x86dd, 41);
  append(bytes_, {0x60, 0, 0, 0, 0, 0, 59, 64});
  append(bytes_, address(AF_INET6, src));
  append(bytes_, address(AF_INET6, dst));
  next_at_ = at + 6;
  next_size_ = 1;
  return *this;
}

PacketBuilder& PacketBuilder::extension(std::uint8_t kind, std::size_t size) {
  const auto at = begin(Kind::extension, 0, kind);
  bytes_.resize(at + size);
  bytes_[at] = 59;
  bytes_[at + 1] = static_cast<std::uint8_t>(size / 8 - 1);
  next_at_ = at;
  next_size_ = 1;
  return *this;
}

PacketBuilder& PacketBuilder::authentication(std::size_t size) {
  extension(51, size);
  bytes_[layers_.back().at + 1] = static_cast<std::uint8_t>(size / 4 - 2);
  return *this;
}

PacketBuilder& PacketBuilder::fragment(std::uint16_t offset_bytes, bool more, std::uint32_t id) {
  extension(44, 8);
  bytes_[layers_.back().at + 1] = 0;
  put16(bytes_, layers_.back().at + 2, offset_bytes | (more ? 1u : 0u));
  put16(bytes_, layers_.back().at + 4, id >> 16);
  put16(bytes_, layers_.back().at + 6, id & 0xffff);
  return *this;
}

PacketBuilder& PacketBuilder::tcp(std::uint16_t src, std::uint16_t dst, const TcpFields& fields) {
  begin(Kind::tcp, 0, 6);
  auto options = fields.options;
  while (options.size() % 4 != 0) options.push_back(0);
  append16(src);
  append16(dst);
  append32(fields.seq);
  append32(fields.ack);
  bytes_.push_back(static_cast<std::uint8_t>((5 + options.size() / 4) << 4));
  bytes_.push_back(fields.flags);
  append16(fields.window);
  append32(0);
  append(bytes_, options);
  return *this;
}

PacketBuilder& PacketBuilder::udp(std::uint16_t src, std::uint16_t dst) {
  begin(Kind::udp, 0, 17);
  append16(src);
  append16(dst);
  append32(0);
  return *this;
}

PacketBuilder& PacketBuilder::sctp(std::uint16_t src, std::uint16_t dst) {
  begin(Kind::other, 0, 132);
  append16(src);
  append16(dst);
  append32(0);
  append32(0);
  return *this;
}

PacketBuilder& PacketBuilder::icmp(std::uint8_t type, std::uint8_t code) {
  bool behind_ipv6 = false;
  for (const auto& layer : layers_)
    if (layer.kind == Kind::ipv4 || layer.kind == Kind::ipv6) behind_ipv6 = layer.kind == Kind::ipv6;
  begin(Kind::other, 0, behind_ipv6 ? 58 : 1);
  append(bytes_, {type, code, 0, 0, 0, 0, 0, 0});
  return *this;
}

PacketBuilder& PacketBuilder::geneve(std::uint32_t vni, const Bytes& options) {
  const auto at = begin(Kind::other, 0, 0);
  append(bytes_, {static_cast<std::uint8_t>(options.size() / 4), 0, 0, 0});
  append32(vni << 8);
  append(bytes_, options);
  next_at_ = at + 2;
  next_size_ = 2;
  return *this;
}

PacketBuilder& PacketBuilder::raw(const Bytes& bytes) {
  begin(Kind::other, 0, 0);
  append(bytes_, bytes);
  return *this;
}

PacketBuilder& PacketBuilder::payload(std::size_t size) {
  bytes_.insert(bytes_.end(), size, 0xa5);
  return *this;
}

PacketBuilder& PacketBuilder::set8(std::size_t at, std::uint8_t value) {
  patches_.push_back({layers_.back().at + at, {value}});
  return *this;
}

PacketBuilder& PacketBuilder::set16(std::size_t at, std::uint16_t value) {
  patches_.push_back(
      {layers_.back().at + at, {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)}});
  return *this;
}

PacketBuilder& PacketBuilder::pad(std::size_t size) {
  padding_ += size;
  return *this;
}

Bytes PacketBuilder::build() const {
  auto bytes = bytes_;
  for (const auto& layer : layers_) {
    const auto size = bytes.size() - layer.at;
    if (layer.kind == Kind::ipv4) put16(bytes, layer.at + 2, size);
    if (layer.kind == Kind::ipv6) put16(bytes, layer.at + 4, size - 40);
    if (layer.kind == Kind::udp) put16(bytes, layer.at + 4, size);
  }
  for (const auto& patch : patches_)
    for (std::size_t i = 0; i < patch.value.size(); ++i) bytes.at(patch.at + i) = patch.value[i];
  bytes.resize(bytes.size() + padding_);
  return bytes;
}

Bytes gwlb_options(std::uint64_t endpoint, std::uint64_t attachment, std::uint32_t cookie) {
  Bytes options = {0x01, 0x08, 1, 2};
  append_number(options, endpoint, 8);
  append(options, {0x01, 0x08, 2, 2});
  append_number(options, attachment, 8);
  append(options, {0x01, 0x08, 3, 1});
  append_number(options, cookie, 4);
  return options;
}

}  // namespace fffa::bpf_test
