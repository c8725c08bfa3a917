// SPDX-License-Identifier: MIT
#include "imds.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace fffa::imds {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::size_t kMaxInterfaces = 65536;  // names remembered
constexpr int kQuickRefreshes = 4;             // 1, 2, 4 and 8 s after a new interface was seen
constexpr double kJitter = 0.1;

const char* environment(const char* name) {
  return std::getenv(name);
}

void fill(Text& value, Text known) noexcept {
  if (value == Text::null) value = known;
}
void fill(AwsIdentity& identity, const AwsIdentity& known) noexcept {
  fill(identity.account, known.account);
  fill(identity.vpc, known.vpc);
  fill(identity.subnet, known.subnet);
  fill(identity.instance, known.instance);
  fill(identity.az, known.az);
  fill(identity.az_id, known.az_id);
  fill(identity.region, known.region);
  fill(identity.eni, known.eni);
}

}  // namespace

ClientOptions client_options(const Config& config, const char* (*variable)(const char*)) {
  ClientOptions options = aws::client_options(variable);
  if (config.endpoint) options.endpoint = *config.endpoint;
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (config.timeout) options.connect_timeout = std::chrono::duration_cast<milliseconds>(*config.timeout);
  options.total_timeout = options.connect_timeout * 2;
  if (config.attempts) options.attempts = *config.attempts;
  return options;
}

void Imds::check(const Config& config, Checker& checker) {
  if (config.endpoint && !config.endpoint->starts_with("http://")) {
    checker.error("endpoint", "`" + *config.endpoint + "` is no http:// URL", "such as http://169.254.169.254");
  }
}

Imds::Imds(Config config, StageContext& context)
    : context_(context),
      refresh_interval_(config.refresh_interval),
      requests_ok_(context.metrics().counter("fffa_imds_refreshes_total",
                                             "Times that the metadata was asked for, by result", {{"result", "ok"}})),
      requests_failed_(context.metrics().counter(
          "fffa_imds_refreshes_total", "Times that the metadata was asked for, by result", {{"result", "failed"}})) {
  if (aws::imds_disabled(&environment)) {
    context_.log().info("AWS_EC2_METADATA_DISABLED is set: aws_* fields stay null");
    return;
  }
  worker_ = std::make_shared<Worker>(client_options(config, &environment), context.clock());
  refresh();
}

Imds::~Imds() {
  if (worker_) worker_->stop = true;
}

// ---- fetching

void Imds::refresh() {
  if (fetching_) return;
  fetching_ = true;
  context_.background([this, worker = worker_, &context = context_] {
    if (worker->stop) return;
    auto result = std::make_shared<std::pair<Fetched, std::vector<Link>>>(fetch(worker->client), list_links());
    // posted functions do not run once the stage is gone
    context.post([this, result] { fetched(std::move(result->first), std::move(result->second)); });
  });
}

void Imds::fetched(Fetched fetched, std::vector<Link> links) {
  fetching_ = false;
  listed(std::move(links));
  if (fetched.kind == Reply::Kind::ok) {
    succeeded(std::move(fetched.instance));
  } else {
    failed(fetched);
  }
}

void Imds::succeeded(Instance instance) {
  requests_ok_.add();
  failures_ = 0;
  if (!instance_ || told_failure_) {
    context_.log().info("instance metadata: " + instance.id + " with " + std::to_string(instance.enis.size()) +
                        " network interfaces, from " + worker_->client.endpoint());
  }
  told_failure_ = false;
  TextTable& texts = context_.texts();
  general_ = {};
  general_.aws.account = texts.intern(instance.account);
  general_.aws.instance = texts.intern(instance.id);
  general_.aws.region = texts.intern(instance.region);
  general_.aws.az = texts.intern(instance.az);
  general_.aws.az_id = texts.intern(instance.az_id);
  instance_ = std::move(instance);
  identities_.clear();
  refresh_in(refresh_interval_, kJitter);
  refresh_soon_for_new_enis();
}

void Imds::failed(const Fetched& fetched) {
  requests_failed_.add();
  const bool refused = fetched.kind == Reply::Kind::refused;
  const nanoseconds backoff = seconds(1) * (1 << std::min(failures_, 20));
  const nanoseconds delay = refused ? refresh_interval_ : std::min(refresh_interval_, backoff);
  ++failures_;
  const std::string message =
      "instance metadata: " + fetched.error +
      (instance_ ? "; what was known stays in use" : "; aws_* fields stay null until it answers");
  context_.log().log(told_failure_ ? LogLevel::debug : LogLevel::warning, message);
  told_failure_ = true;
  refresh_in(delay, 0.5);
}

// Up to `jitter` (a share of it) sooner: hosts that started together do not ask together.
void Imds::refresh_in(nanoseconds delay, double jitter) {
  const double share = 1 - jitter * std::uniform_real_distribution<>(0, 1)(random_);
  const auto period =
      std::max<nanoseconds>(milliseconds(100), nanoseconds(std::llround(static_cast<double>(delay.count()) * share)));
  timer_ = context_.every(period, [this] { refresh(); });
}

// ---- interfaces

const Eni* Imds::eni_of(const Link& link) const {
  const auto found =
      std::find_if(instance_->enis.begin(), instance_->enis.end(), [&](const Eni& eni) { return eni.mac == link.mac; });
  return found == instance_->enis.end() ? nullptr : &*found;
}

// An interface with a burnt-in address that the service does not know may be an ENI that was attached a moment ago.
void Imds::refresh_soon_for_new_enis() {
  const bool unknown = std::any_of(links_.begin(), links_.end(),
                                   [this](const Link& link) { return link.permanent && eni_of(link) == nullptr; });
  if (!unknown) {
    quick_refreshes_ = 0;
  } else if (quick_refreshes_ < kQuickRefreshes) {
    refresh_in(std::min<nanoseconds>(refresh_interval_, seconds(1) * (1 << quick_refreshes_)), kJitter);
    ++quick_refreshes_;
  }
}

void Imds::list_again() {
  if (listing_ || fetching_) return;
  listing_ = true;
  context_.background([this, worker = worker_, &context = context_] {
    if (worker->stop) return;
    auto links = std::make_shared<std::vector<Link>>(list_links());
    context.post([this, links] { listed(std::move(*links)); });
  });
}

void Imds::listed(std::vector<Link> links) {
  listing_ = false;
  const bool more =
      links.size() > links_.size() || std::any_of(links.begin(), links.end(), [this](const Link& link) {
        return std::none_of(links_.begin(), links_.end(), [&](const Link& known) { return known.mac == link.mac; });
      });
  links_ = std::move(links);
  for (auto& [interface, identity] : identities_) {
    if (!identity.unresolved) continue;
    identity = resolve(interface, identity.ifindex);
    identity.unresolved = false;  // not an interface of ours, then
  }
  if (!more || !instance_) return;
  quick_refreshes_ = 0;
  refresh_soon_for_new_enis();
}

Imds::Identity Imds::resolve(Text interface, std::uint32_t ifindex) {
  Identity identity = general_;
  identity.ifindex = ifindex;
  const std::string_view name = context_.texts().view(interface);
  const auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& candidate) {
    return candidate.name == name && (ifindex == 0 || candidate.ifindex == ifindex);
  });
  identity.unresolved = link == links_.end();
  if (identity.unresolved) return identity;
  const Eni* eni = eni_of(*link);
  if (eni == nullptr) return identity;
  TextTable& texts = context_.texts();
  if (!eni->account.empty()) identity.aws.account = texts.intern(eni->account);
  identity.aws.eni = texts.intern(eni->id);
  identity.aws.vpc = texts.intern(eni->vpc);
  identity.aws.subnet = texts.intern(eni->subnet);
  identity.primary_ipv4 = eni->primary_ipv4;
  identity.primary_ipv6 = eni->primary_ipv6;
  return identity;
}

const Imds::Identity& Imds::identity_of(Text interface, std::uint32_t ifindex) {
  const auto known = identities_.find(interface);
  if (known != identities_.end() && (ifindex == 0 || known->second.ifindex == ifindex)) return known->second;
  if (identities_.size() >= kMaxInterfaces) identities_.clear();
  Identity& identity = identities_[interface];
  identity = resolve(interface, ifindex);
  if (identity.unresolved) list_again();
  return identity;
}

Result<void> Imds::enrich(Batch& batch) {
  if (!instance_) return {};
  const Identity* identity = nullptr;
  Text interface = Text::null;
  std::uint32_t ifindex = 0;
  for (auto& record : batch.records) {
    if (record.host != Text::null && record.host != context_.host()) continue;  // another machine's
    if (identity == nullptr || record.interface != interface || record.ifindex != ifindex) {
      interface = record.interface;
      ifindex = record.ifindex;
      identity = &identity_of(interface, ifindex);
    }
    fill(record.aws, identity->aws);
  }
  for (auto& status : batch.interfaces) {
    const Identity& own = identity_of(status.interface, status.ifindex);
    fill(status.aws, own.aws);
    if (own.primary_ipv4 != Address{}) status.primary_ipv4 = own.primary_ipv4;
    if (own.primary_ipv6 != Address{}) status.primary_ipv6 = own.primary_ipv6;
  }
  return {};
}

}  // namespace fffa::imds
