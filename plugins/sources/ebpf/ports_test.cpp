// SPDX-License-Identifier: MIT
#include "ports.h"

#include <gtest/gtest.h>

namespace fffa::ebpf {
namespace {

TEST(Selects, NamesGlobsAutoAndAll) {
  const Link lo{1, "lo", true, true, true};
  const Link eth0{2, "eth0", true, false, true};
  const Link veth{3, "veth12", true, false, true};
  const std::vector<std::uint32_t> defaults = {2};
  EXPECT_TRUE(selects({"eth0"}, eth0, {}));
  EXPECT_FALSE(selects({"eth"}, eth0, {}));
  EXPECT_TRUE(selects({"eth*"}, eth0, {}));
  EXPECT_TRUE(selects({"nothing", "veth1?"}, veth, {}));
  EXPECT_TRUE(selects({"auto"}, eth0, defaults));
  EXPECT_FALSE(selects({"auto"}, veth, defaults));
  EXPECT_TRUE(selects({"all"}, veth, {}));
  EXPECT_FALSE(selects({"all"}, lo, {}));
  EXPECT_FALSE(selects({"*"}, lo, {}));
  EXPECT_TRUE(selects({"all", "lo"}, lo, {}));
  EXPECT_FALSE(selects({}, eth0, defaults));
}

TEST(PrimaryAddresses, FirstThatMayBe) {
  Address a{10, 0, 0, 1};
  Address b{10, 0, 0, 2};
  Address six{0xfd};
  const std::vector<LinkAddress> all = {{7, 4, 24, true, Address{9}},
                                        {2, 4, 24, false, a},
                                        {2, 4, 24, true, b},
                                        {2, 4, 24, true, a},
                                        {2, 6, 64, true, six}};
  const PrimaryAddresses found = primary_addresses(all, 2);
  EXPECT_EQ(found.ipv4, b);
  EXPECT_EQ(found.ipv6, six);
  EXPECT_EQ(primary_addresses(all, 3), PrimaryAddresses{});
}

}  // namespace
}  // namespace fffa::ebpf
