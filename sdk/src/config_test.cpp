// SPDX-License-Identifier: MIT
#include "fffa/config.h"

#include <gtest/gtest.h>

#include "fffa/testing/config_text.h"

namespace {

using namespace std::chrono_literals;
using fffa::ByteSize;

enum class Mode { interval, cumulative };
FFFA_ENUM(Mode, (interval, "interval", "what happened since the last record"),
          (cumulative, "cumulative", "totals so far"))

struct Tls {
  std::string ca;
  bool verify = true;
};
FFFA_CONFIG(Tls, (ca, "authority"), (verify, "check the peer"))

struct Plain {
  static constexpr std::string_view kType = "plain";
  std::uint16_t level = 3;
};
FFFA_CONFIG(Plain, (level, "level", fffa::range(1, 9)))
struct Login {
  static constexpr std::string_view kType = "login";
  std::string user;
  fffa::Secret password;
};
FFFA_CONFIG(Login, (user, "who"), (password, "what"))

struct Config {
  std::string host;
  std::uint16_t port = 514;
  std::int8_t offset = -3;
  std::chrono::nanoseconds timeout = 5s;
  std::vector<std::string> interfaces = {"auto"};
  std::map<std::string, std::string> labels;
  std::optional<Tls> tls;
  Mode mode = Mode::interval;
  ByteSize size{75'000'000};
  double ratio = 0.5;
  std::filesystem::path directory = "./logs";
  std::optional<std::uint64_t> limit;
  std::variant<Plain, Login> auth;
  std::vector<Tls> peers;
  std::string prefix;
  std::vector<std::uint16_t> ports = {1};
  std::int64_t wide = 0;
};
FFFA_CONFIG(Config, (host, "collector"), (port, "UDP port", fffa::range(1, 65535)), (offset, "offset"),
            (timeout, "per message", fffa::range(1s, 1h)), (interfaces, "where"), (labels, "added"),
            (tls, "encryption"), (mode, "mode"),
            (size, "rotation", fffa::range(ByteSize{1000}, ByteSize{1'000'000'000})),
            (ratio, "ratio", fffa::range(0.0, 1.0)), (directory, "where to"), (limit, "limit"), (auth, "login"),
            (peers, "others"), (prefix, "prefix", fffa::may_be_empty),
            (ports, "ports", fffa::required, fffa::range(1, 100)), (wide, "wide"))

struct Read {
  bool good = false;
  Config config;
  std::vector<fffa::Diagnostic> problems;
};

Read read(const std::string& yaml) {
  auto node = fffa::testing::parse_config("host: h\nports: [7]\n" + yaml);
  if (!node.ok()) throw std::runtime_error(node.error().message);
  Read result;
  fffa::Diagnostics diagnostics;
  result.good = fffa::read_config(*node, "sinks.s", result.config, diagnostics);
  result.problems = diagnostics.all();
  EXPECT_EQ(result.good, result.problems.empty());
  return result;
}

// Exactly one problem, at that key; its message and hint hold the given parts.
void expect_problem(const std::string& yaml, const std::string& path, const std::string& message,
                    const std::string& hint = "") {
  const Read result = read(yaml);
  ASSERT_EQ(result.problems.size(), 1u) << yaml;
  const auto& problem = result.problems[0];
  EXPECT_EQ(problem.path, "sinks.s." + path) << yaml;
  EXPECT_NE(problem.message.find(message), std::string::npos) << yaml << "\n" << problem.message;
  EXPECT_NE(problem.hint.find(hint), std::string::npos) << yaml << "\n" << problem.hint;
}

TEST(Config, DefaultsStandWhereNothingIsGiven) {
  const Read result = read("");
  ASSERT_TRUE(result.good);
  EXPECT_EQ(result.config.host, "h");
  EXPECT_EQ(result.config.port, 514);
  EXPECT_EQ(result.config.timeout, 5s);
  EXPECT_EQ(result.config.interfaces, std::vector<std::string>{"auto"});
  EXPECT_FALSE(result.config.tls);
  EXPECT_FALSE(result.config.limit);
  EXPECT_TRUE(std::holds_alternative<Plain>(result.config.auth));
}

TEST(Config, ReadsEveryKind) {
  const Read result = read(R"(port: 65535
offset: -128
timeout: 1m30s
interfaces: [eth0, "veth*"]
labels: {team: net, tier: 5}
tls:
  ca: /etc/ca.pem
  verify: false
mode: cumulative
size: 16MiB
ratio: 0.25
directory: /var/log/fffa
limit: 18446744073709551615
auth:
  type: login
  user: u
  password: ${P}
peers:
  - ca: one
  - ca: two
    verify: false
prefix: ""
wide: -9223372036854775808
)");
  ASSERT_TRUE(result.good) << to_string(result.problems.at(0));
  const Config& c = result.config;
  EXPECT_EQ(c.port, 65535);
  EXPECT_EQ(c.offset, -128);
  EXPECT_EQ(c.timeout, 90s);
  EXPECT_EQ(c.interfaces, (std::vector<std::string>{"eth0", "veth*"}));
  EXPECT_EQ(c.labels, (std::map<std::string, std::string>{{"team", "net"}, {"tier", "5"}}));
  ASSERT_TRUE(c.tls);
  EXPECT_EQ(c.tls->ca, "/etc/ca.pem");
  EXPECT_FALSE(c.tls->verify);
  EXPECT_EQ(c.mode, Mode::cumulative);
  EXPECT_EQ(c.size, ByteSize{16u << 20});
  EXPECT_DOUBLE_EQ(c.ratio, 0.25);
  EXPECT_EQ(c.directory, "/var/log/fffa");
  EXPECT_EQ(c.limit, std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(std::get<Login>(c.auth).password.reveal(), "${P}");
  ASSERT_EQ(c.peers.size(), 2u);
  EXPECT_TRUE(c.peers[0].verify);
  EXPECT_FALSE(c.peers[1].verify);
  EXPECT_EQ(c.wide, std::numeric_limits<std::int64_t>::min());
}

TEST(Config, ASecretIsNotWrittenIntoAConfiguration) {
  expect_problem("auth: {type: login, user: u, password: hunter2}\n", "auth.password", "a secret stands here",
                 "${file:/path}");
}

TEST(Config, TheDeclaredTypeDecidesNotTheQuotes) {
  const Read result = read("port: \"99\"\ntimeout: '2s'\nmode: \"cumulative\"\n");
  ASSERT_TRUE(result.good);
  EXPECT_EQ(result.config.port, 99);
  EXPECT_EQ(result.config.timeout, 2s);
}

TEST(Config, NullMeansAbsentForOptionalValuesOnly) {
  EXPECT_TRUE(read("limit: null\ntls: ~\n").good);
  expect_problem("port:\n", "port", "expected an integer, got nothing", "leave the key out");
}

TEST(Config, UnknownKeysAreRefusedWithTheNearest) {
  const Read result = read("interfacs: [eth0]\n");
  ASSERT_EQ(result.problems.size(), 1u);
  EXPECT_EQ(result.problems[0].path, "sinks.s.interfacs");
  EXPECT_EQ(result.problems[0].hint, "did you mean `interfaces`?");
  EXPECT_EQ(to_string(result.problems[0].at), "test.yaml:3:1");
  expect_problem("tls: {ca: x, verfy: true}\n", "tls.verfy", "unknown", "verify");
  expect_problem("peers: [{ca: x}, {ca: y, zzzzzz: 1}]\n", "peers[1].zzzzzz", "unknown", "there are: ca, verify");
  expect_problem("auth: {type: plain, levle: 4}\n", "auth.levle", "unknown", "level");
}

TEST(Config, WrongTypesSayWhatWasExpectedAndWhatIsThere) {
  expect_problem("port: many\n", "port", "expected an integer, got `many`");
  expect_problem("port: [1]\n", "port", "got a list");
  expect_problem("port: 1.5\n", "port", "expected an integer");
  expect_problem("port: 0514\n", "port", "expected an integer", "leading zeros");
  expect_problem("directory: {a: b}\n", "directory", "expected text, got a mapping");
  expect_problem("labels: [a]\n", "labels", "expected a mapping");
  expect_problem("tls: yes\n", "tls", "expected a mapping");
  expect_problem("tls: {ca: x, verify: yes}\n", "tls.verify", "expected true or false, got `yes`");
}

TEST(Config, NumbersOutOfRangeSayTheRange) {
  expect_problem("port: 0\n", "port", "must be from 1 to 65535, got `0`");
  expect_problem("port: 70000\n", "port", "must be from 1 to 65535");
  expect_problem("port: -1\n", "port", "must be from 1 to 65535");
  expect_problem("offset: 128\n", "offset", "must be from -128 to 127");
  expect_problem("limit: 18446744073709551616\n", "limit", "must be from 0 to 18446744073709551615");
  expect_problem("limit: 99999999999999999999999999\n", "limit", "must be from 0 to 18446744073709551615");
  expect_problem("wide: 9223372036854775808\n", "wide", "must be from -9223372036854775808 to 9223372036854775807");
  expect_problem("ratio: 1.5\n", "ratio", "must be from 0 to 1");
  expect_problem("ratio: nan\n", "ratio", "expected a number");
  expect_problem("ratio: 1e999\n", "ratio", "expected a number");
  expect_problem("timeout: 2h\n", "timeout", "must be from 1s to 1h");
  expect_problem("size: 999B\n", "size", "must be from 1kB to 1GB");
}

TEST(Config, UnitsAreChecked) {
  expect_problem("timeout: 5\n", "timeout", "expected a duration such as 60s, got `5`", "write 5s");
  expect_problem("timeout: sixty\n", "timeout", "expected a duration");
  expect_problem("timeout: 5sec\n", "timeout", "expected a duration", "units are ns, us, ms, s, m, h, d");
  expect_problem("timeout: -5s\n", "timeout", "expected a duration");
  expect_problem("timeout: 999999999999d\n", "timeout", "expected a duration", "too large");
  expect_problem("size: 75Mb\n", "size", "expected a size", "units are B");
  expect_problem("size: 99999999999TB\n", "size", "expected a size", "too large");
  expect_problem("size: 75\n", "size", "expected a size", "write 75B");
}

TEST(Config, WhatIsMissingIsNamedAtTheMapping) {
  auto node = fffa::testing::parse_config("# nothing\nport: 5\ntls: {verify: true}\nauth: {user: x}\n");
  Config config;
  fffa::Diagnostics diagnostics;
  EXPECT_FALSE(fffa::read_config(*node, "", config, diagnostics));
  std::vector<std::string> paths;
  for (const auto& each : diagnostics.all()) paths.push_back(each.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"host", "tls.ca", "auth", "ports"}));
  EXPECT_EQ(to_string(diagnostics.all()[0].at), "test.yaml:2:1");
}

TEST(Config, EmptyTextAndEmptyRequiredListsAreRefused) {
  expect_problem("directory: \"\"\n", "directory", "must not be empty");
  expect_problem("interfaces: [\"\"]\n", "interfaces[0]", "must not be empty");
  EXPECT_TRUE(read("interfaces: []\n").good);
  auto node = fffa::testing::parse_config("host: h\nports: []\n");
  Config config;
  fffa::Diagnostics diagnostics;
  EXPECT_FALSE(fffa::read_config(*node, "", config, diagnostics));
}

TEST(Config, RangesHoldForElements) {
  auto node = fffa::testing::parse_config("host: h\nports: [5, 101, 0]\n");
  Config config;
  fffa::Diagnostics diagnostics;
  EXPECT_FALSE(fffa::read_config(*node, "", config, diagnostics));
  ASSERT_EQ(diagnostics.all().size(), 2u);
  EXPECT_EQ(diagnostics.all()[0].path, "ports[1]");
  EXPECT_EQ(diagnostics.all()[1].path, "ports[2]");
}

TEST(Config, ChoicesAndAlternativesSuggest) {
  expect_problem("mode: cumulativ\n", "mode", "expected one of interval, cumulative", "did you mean `cumulative`?");
  expect_problem("auth: {type: logn}\n", "auth.type", "expected one of plain, login", "login");
  expect_problem("auth: {level: 3}\n", "auth", "`type` is missing", "plain, login");
  expect_problem("auth: {type: plain, level: 10}\n", "auth.level", "must be from 1 to 9");
  expect_problem("interfaces: eth0\n", "interfaces", "expected a list, got `eth0`", "write [eth0]");
}

TEST(Config, AllProblemsAreCollected) {
  const Read result = read("port: x\ntimeout: y\nmodus: z\nratio: 7\n");
  EXPECT_EQ(result.problems.size(), 4u);
}

TEST(Config, SubstitutedValuesAreNeverShown) {
  for (const std::string option : {"port", "timeout", "size", "mode", "ratio", "interfaces", "tls"}) {
    auto node = fffa::testing::parse_config("host: h\nports: [1]\n" + option + ": hunter2\n");
    node->find(option)->secret = true;
    Config config;
    fffa::Diagnostics diagnostics;
    EXPECT_FALSE(fffa::read_config(*node, "", config, diagnostics)) << option;
    for (const auto& each : diagnostics.all())
      EXPECT_EQ(to_string(each).find("hunter2"), std::string::npos) << to_string(each);
  }
}

TEST(Config, ANameThatHasRunTogetherWithItsValueIsNotShown) {
  for (const std::string key : {"password:hunter2", "password=hunter2"}) {
    auto node = fffa::testing::parse_config("host: h\nports: [1]\nlabels: {a: b}\n");
    auto& entry = node->find("labels")->entries[0];
    entry.key = key;
    entry.value.kind = fffa::ConfigNode::Kind::null;
    Config config;
    fffa::Diagnostics diagnostics;
    EXPECT_FALSE(fffa::read_config(*node, "", config, diagnostics));
    ASSERT_EQ(diagnostics.all().size(), 1u);
    EXPECT_EQ(to_string(diagnostics.all()[0]).find("hunter2"), std::string::npos) << to_string(diagnostics.all()[0]);
  }
}

TEST(Config, MessagesHoldNoControlCharacters) {
  const Read result = read("port: \"a\\nb" + std::string(500, 'x') + "\"\n");
  ASSERT_EQ(result.problems.size(), 1u);
  EXPECT_EQ(result.problems[0].message.find('\n'), std::string::npos);
  EXPECT_LT(result.problems[0].message.size(), 200u);
}

TEST(Config, SchemaTellsTypesDefaultsAndRanges) {
  const fffa::Schema& schema = fffa::schema_of<Config>();
  ASSERT_EQ(schema.kind, fffa::Schema::Kind::object);
  const auto option = [&](const std::string& name) -> const fffa::Option& {
    for (const auto& each : schema.options) {
      if (each.name == name) return each;
    }
    throw std::runtime_error("no option " + name);
  };
  EXPECT_EQ(schema.options.front().name, "host");
  EXPECT_TRUE(option("host").required);
  EXPECT_EQ(option("host").default_text, "");
  EXPECT_EQ(option("port").default_text, "514");
  EXPECT_EQ(option("port").schema.minimum, 1);
  EXPECT_EQ(option("port").schema.maximum, 65535);
  EXPECT_EQ(option("offset").schema.minimum, -128);
  EXPECT_EQ(option("timeout").default_text, "5s");
  EXPECT_EQ(option("timeout").schema.maximum, 3600);
  EXPECT_EQ(option("interfaces").default_text, "[auto]");
  EXPECT_EQ(option("size").default_text, "75MB");
  EXPECT_EQ(option("ratio").default_text, "0.5");
  EXPECT_EQ(option("prefix").default_text, "\"\"");
  EXPECT_FALSE(option("prefix").required);
  EXPECT_EQ(option("mode").default_text, "interval");
  EXPECT_EQ(option("limit").default_text, "");
  EXPECT_EQ(option("auth").schema.choices.at(1).name, "login");
  EXPECT_EQ(option("auth").schema.choices.at(1).schema.at(0).options.at(1).schema.kind, fffa::Schema::Kind::secret);
  EXPECT_EQ(type_name(option("mode").schema), "one of interval, cumulative");
  EXPECT_EQ(type_name(option("labels").schema), "map of string");
  EXPECT_EQ(type_name(option("peers").schema), "list of object");
}

TEST(Config, NearestTakesSlipsNotOtherWords) {
  const std::vector<std::string> names{"interval", "interfaces", "idle_timeout", "mode"};
  EXPECT_EQ(fffa::nearest("intervall", names), "interval");
  EXPECT_EQ(fffa::nearest("Idle-Timeout", names), "idle_timeout");
  EXPECT_EQ(fffa::nearest("mdoe", names), "mode");
  EXPECT_EQ(fffa::nearest("password", names), "");
  EXPECT_EQ(fffa::nearest("", names), "");
  EXPECT_EQ(fffa::nearest(std::string(10000, 'i'), names), "");
}

}  // namespace
