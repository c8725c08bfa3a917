// SPDX-License-Identifier: MIT
#include "nft_socket.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <tuple>

namespace fffa::ebpf {
namespace {

constexpr int kEventBuffer = 4 << 20;
constexpr int kMaxDatagrams = 4096;  // at a time: read() must come to an end in a flood

Result<Descriptor> open_netfilter(int flags) {
  Descriptor fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_NETFILTER));
  if (!fd) return system_error("open a netfilter netlink socket", errno, Disposition::unavailable);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return system_error("bind a netfilter netlink socket", errno, Disposition::unavailable);
  return fd;
}

template <typename T>
using Owned = std::unique_ptr<T, void (*)(const T*)>;

Owned<nftnl_table> parse_table(const nlmsghdr& header) {
  Owned<nftnl_table> table(nftnl_table_alloc(), &nftnl_table_free);
  if (table && nftnl_table_nlmsg_parse(&header, table.get()) != 0) table.reset();
  return table;
}
Owned<nftnl_chain> parse_chain(const nlmsghdr& header) {
  Owned<nftnl_chain> chain(nftnl_chain_alloc(), &nftnl_chain_free);
  if (chain && nftnl_chain_nlmsg_parse(&header, chain.get()) != 0) chain.reset();
  return chain;
}
Owned<nftnl_rule> parse_rule(const nlmsghdr& header) {
  Owned<nftnl_rule> rule(nftnl_rule_alloc(), &nftnl_rule_free);
  if (rule && nftnl_rule_nlmsg_parse(&header, rule.get()) != 0) rule.reset();
  return rule;
}

std::string text(const char* from) {
  return from != nullptr ? from : "";
}

int find_comment(const nftnl_udata* attribute, void* data) {
  if (nftnl_udata_type(attribute) != NFTNL_UDATA_RULE_COMMENT) return 0;
  const auto* value = static_cast<const char*>(nftnl_udata_get(attribute));
  auto& comment = *static_cast<std::optional<std::string>*>(data);
  comment = std::string(value, ::strnlen(value, nftnl_udata_len(attribute)));
  return 0;
}

std::optional<std::string> comment_of(const nftnl_rule* rule) {
  std::uint32_t size = 0;
  const void* data = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &size);
  std::optional<std::string> comment;
  if (data != nullptr) nftnl_udata_parse(data, size, &find_comment, &comment);
  return comment;
}

int find_reject(nftnl_expr* expression, void* data) {
  const std::string name = text(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME));
  const bool rejects = name == "reject" || (name == "target" && nftnl_expr_is_set(expression, NFTNL_EXPR_TG_NAME) &&
                                            text(nftnl_expr_get_str(expression, NFTNL_EXPR_TG_NAME)) == "REJECT");
  if (rejects) *static_cast<bool*>(data) = true;
  return 0;
}

ListedRule to_rule(nftnl_rule* rule) {
  ListedRule listed;
  listed.handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
  listed.comment = comment_of(rule);
  nftnl_expr_foreach(rule, &find_reject, &listed.rejects);
  return listed;
}

ListedChain to_chain(const nftnl_chain* chain) {
  ListedChain listed;
  listed.name = text(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));
  listed.handle = nftnl_chain_get_u64(chain, NFTNL_CHAIN_HANDLE);
  listed.base = nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM);
  if (!listed.base) return listed;
  listed.hook = nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM);
  listed.priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
  listed.type = text(nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE));
  return listed;
}

void dispatch(const nlmsghdr& header, const NftEvents::Handlers& handlers) {
  if (header.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES) return;
  switch (header.nlmsg_type & 0xff) {
    case NFT_MSG_TRACE:
      if (const auto event = parse_trace(header)) handlers.trace(*event);
      break;
    case NFT_MSG_DELTABLE:
      handlers.changed();
      if (const auto table = parse_table(header))
        handlers.table_gone(static_cast<std::uint8_t>(nftnl_table_get_u32(table.get(), NFTNL_TABLE_FAMILY)),
                            text(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME)));
      break;
    case NFT_MSG_DELCHAIN:
      handlers.changed();
      if (const auto chain = parse_chain(header))
        handlers.chain_gone(static_cast<std::uint8_t>(nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_FAMILY)),
                            text(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE)),
                            text(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)));
      break;
    case NFT_MSG_DELRULE:
      handlers.changed();
      if (const auto rule = parse_rule(header))
        handlers.rule_gone(static_cast<std::uint8_t>(nftnl_rule_get_u32(rule.get(), NFTNL_RULE_FAMILY)),
                           text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE)),
                           nftnl_rule_get_u64(rule.get(), NFTNL_RULE_HANDLE));
      break;
    case NFT_MSG_NEWTABLE:
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_NEWRULE: handlers.changed(); break;
    default: break;
  }
}

}  // namespace

Result<NftEvents> NftEvents::open() {
  auto socket = open_netfilter(SOCK_NONBLOCK);
  if (!socket) return socket.error();
  for (const int group : {NFNLGRP_NFTABLES, NFNLGRP_NFTRACE}) {
    if (::setsockopt(socket->get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
      return system_error("listen to nftables' events (this needs CAP_NET_ADMIN and nf_tables in the kernel)", errno,
                          Disposition::unavailable);
  }
  if (::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUFFORCE, &kEventBuffer, sizeof kEventBuffer) != 0)
    ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUF, &kEventBuffer, sizeof kEventBuffer);
  return NftEvents(std::move(*socket));
}

void NftEvents::read(const Handlers& handlers) {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  for (int i = 0; i < kMaxDatagrams; ++i) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != ENOBUFS) return;
    if (got < 0 || static_cast<std::size_t>(got) > buffer.size()) {
      handlers.overrun();
      continue;
    }
    auto left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      dispatch(*header, handlers);
    }
  }
}

Result<NftDump> NftDump::open() {
  auto socket = open_netfilter(0);
  if (!socket) return socket.error();
  const timeval patience{5, 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return NftDump(std::move(*socket));
}

// One answer, or a list until its end.
Result<void> NftDump::request(int type, bool list, const std::function<void(const nlmsghdr&)>& visit) {
  struct {
    nlmsghdr header;
    nfgenmsg message;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
  request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | (list ? NLM_F_DUMP : 0));
  request.header.nlmsg_seq = ++sequence_;
  const auto failed = [](int error) { return system_error("list nftables' rules", error, Disposition::unavailable); };
  if (::send(socket_.get(), &request, sizeof request, 0) < 0) return failed(errno);
  alignas(nlmsghdr) std::array<char, 65536> buffer;
  bool changed = false;
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno);
    auto left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sequence_) continue;
      changed = changed || (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header->nlmsg_type == NLMSG_ERROR)
        return failed(-static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error);
      if (header->nlmsg_type == NLMSG_DONE) return changed ? Result<void>(failed(EINTR)) : Result<void>();
      visit(*header);
      if (!list) return {};
    }
  }
}

Result<std::uint32_t> NftDump::generation() {
  std::uint32_t generation = 0;
  const auto read = [](const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == NFTA_GEN_ID && mnl_attr_get_payload_len(attribute) >= sizeof(std::uint32_t))
      *static_cast<std::uint32_t*>(data) = ntohl(mnl_attr_get_u32(attribute));
    return MNL_CB_OK;
  };
  auto done = request(NFT_MSG_GETGEN, false,
                      [&](const nlmsghdr& header) { mnl_attr_parse(&header, sizeof(nfgenmsg), read, &generation); });
  if (!done) return done.error();
  return generation;
}

Result<std::vector<ListedTable>> NftDump::tables() {
  std::vector<ListedTable> tables;
  std::map<std::pair<std::uint8_t, std::string>, std::size_t> by_name;
  std::map<std::tuple<std::uint8_t, std::string, std::string>, std::size_t> chains;
  auto done = request(NFT_MSG_GETTABLE, true, [&](const nlmsghdr& header) {
    const auto table = parse_table(header);
    if (!table) return;
    ListedTable listed;
    listed.family = static_cast<std::uint8_t>(nftnl_table_get_u32(table.get(), NFTNL_TABLE_FAMILY));
    listed.name = text(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME));
    listed.handle = nftnl_table_get_u64(table.get(), NFTNL_TABLE_HANDLE);
    const bool owned = (nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS) & NFT_TABLE_F_OWNER) != 0;
    listed.ours = owned && listed.family == NFPROTO_INET && listed.name.starts_with("fffa");
    by_name[{listed.family, listed.name}] = tables.size();
    tables.push_back(std::move(listed));
  });
  if (!done) return done.error();
  done = request(NFT_MSG_GETCHAIN, true, [&](const nlmsghdr& header) {
    const auto chain = parse_chain(header);
    if (!chain) return;
    const auto family = static_cast<std::uint8_t>(nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_FAMILY));
    const auto table = by_name.find({family, text(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))});
    if (table == by_name.end()) return;
    auto& list = tables[table->second].chains;
    list.push_back(to_chain(chain.get()));
    chains[{family, table->first.second, list.back().name}] = list.size() - 1;
  });
  if (!done) return done.error();
  done = request(NFT_MSG_GETRULE, true, [&](const nlmsghdr& header) {
    const auto rule = parse_rule(header);
    if (!rule) return;
    const auto family = static_cast<std::uint8_t>(nftnl_rule_get_u32(rule.get(), NFTNL_RULE_FAMILY));
    const std::string table = text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE));
    const auto chain = chains.find({family, table, text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN))});
    if (chain == chains.end()) return;
    tables[by_name[{family, table}]].chains[chain->second].rules.push_back(to_rule(rule.get()));
  });
  if (!done) return done.error();
  return tables;
}

}  // namespace fffa::ebpf
