// SPDX-License-Identifier: MIT
#include "queue_listener.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace fffa::integration {
namespace {

constexpr std::uint16_t type(std::uint16_t message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_QUEUE << 8 | message);
}

// One message with one attribute.
template <typename Payload>
std::vector<char> message(std::uint16_t kind, std::uint16_t flags, std::uint16_t queue, std::uint16_t attribute,
                          const Payload& payload) {
  const nlattr head{static_cast<std::uint16_t>(NLA_HDRLEN + sizeof payload), attribute};
  const nfgenmsg generic{AF_UNSPEC, NFNETLINK_V0, htons(queue)};
  const std::size_t size = NLMSG_LENGTH(sizeof generic) + NLA_HDRLEN + NLA_ALIGN(sizeof payload);
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(size);
  header.nlmsg_type = type(kind);
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  std::vector<char> bytes(size);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + NLMSG_HDRLEN, &generic, sizeof generic);
  std::memcpy(bytes.data() + NLMSG_LENGTH(sizeof generic), &head, sizeof head);
  std::memcpy(bytes.data() + NLMSG_LENGTH(sizeof generic) + NLA_HDRLEN, &payload, sizeof payload);
  return bytes;
}

void send(int fd, const std::vector<char>& bytes) {
  if (::send(fd, bytes.data(), bytes.size(), 0) < 0) throw std::system_error(errno, std::generic_category(), "NFQUEUE");
}

void acknowledged(int fd) {
  std::array<char, 4096> buffer{};
  if (::recv(fd, buffer.data(), buffer.size(), 0) < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))))
    throw std::runtime_error("NFQUEUE: no answer");
  nlmsgerr answer{};
  std::memcpy(&answer, buffer.data() + NLMSG_HDRLEN, sizeof answer);
  if (answer.error != 0) throw std::system_error(-answer.error, std::generic_category(), "NFQUEUE (nfnetlink_queue)");
}

}  // namespace

QueueListener::QueueListener(const Netns& netns, std::uint16_t number, Answer answer)
    : number_(number), answer_(answer) {
  const Netns::Inside inside(netns);
  fd_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "netlink");
  const int room = 4 << 20;
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  command(NFQNL_CFG_CMD_BIND);
  const nfqnl_msg_config_params params{htonl(64), NFQNL_COPY_PACKET};
  send(fd_, message(NFQNL_MSG_CONFIG, NLM_F_ACK, number_, NFQA_CFG_PARAMS, params));
  acknowledged(fd_);
  const std::uint32_t length = htonl(4096);
  send(fd_, message(NFQNL_MSG_CONFIG, NLM_F_ACK, number_, NFQA_CFG_QUEUE_MAXLEN, length));
  acknowledged(fd_);
  thread_ = std::thread([this] { answer_all(); });
}

QueueListener::~QueueListener() {
  stop_ = true;
  thread_.join();
  ::close(fd_);
}

void QueueListener::command(std::uint8_t what) {
  const nfqnl_msg_config_cmd wanted{what, 0, 0};
  send(fd_, message(NFQNL_MSG_CONFIG, NLM_F_ACK, number_, NFQA_CFG_CMD, wanted));
  acknowledged(fd_);
}

void QueueListener::answer_all() {
  std::array<char, 65536> buffer{};
  while (!stop_) {
    pollfd wanted{fd_, POLLIN, 0};
    if (::poll(&wanted, 1, 20) <= 0) continue;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    for (ssize_t at = 0; at + static_cast<ssize_t>(NLMSG_HDRLEN) <= got;) {
      nlmsghdr header{};
      std::memcpy(&header, buffer.data() + at, sizeof header);
      if (header.nlmsg_type == type(NFQNL_MSG_PACKET)) handle(buffer.data() + at, header.nlmsg_len);
      at += static_cast<ssize_t>(NLMSG_ALIGN(header.nlmsg_len));
    }
  }
}

void QueueListener::handle(const char* data, std::size_t size) {
  for (std::size_t at = NLMSG_LENGTH(sizeof(nfgenmsg)); at + NLA_HDRLEN <= size;) {
    nlattr attribute{};
    std::memcpy(&attribute, data + at, sizeof attribute);
    if ((attribute.nla_type & NLA_TYPE_MASK) == NFQA_PACKET_HDR) {
      nfqnl_msg_packet_hdr packet{};
      std::memcpy(&packet, data + at + NLA_HDRLEN, sizeof packet);
      if (answer_ != Answer::none) decide(packet.packet_id);
      ++received_;
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
}

void QueueListener::decide(std::uint32_t id) {
  const std::uint32_t verdict = answer_ == Answer::accept ? NF_ACCEPT : NF_DROP;
  const nfqnl_msg_verdict_hdr wanted{htonl(verdict), id};
  send(fd_, message(NFQNL_MSG_VERDICT, 0, number_, NFQA_VERDICT_HDR, wanted));
}

}  // namespace fffa::integration
