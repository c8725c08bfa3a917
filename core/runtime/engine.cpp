// SPDX-License-Identifier: MIT
#include "engine.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "privileges.h"
#include "reload.h"
#include "sink_node.h"

namespace fffa::core {

using namespace std::chrono_literals;

namespace {

constexpr auto kRebuildPeriod = 5s;

// Stages that do not come back: their nodes and what those use must not be destroyed.
std::vector<std::shared_ptr<void>>& graveyard() {
  static auto* const left = new std::vector<std::shared_ptr<void>>;  // never destroyed, threads may outlive main()
  return *left;
}

std::string since(Monotonic::time_point start) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(Monotonic::now() - start).count()) +
         " ms";
}

}  // namespace

Engine::Engine(Pipeline pipeline, Options options)
    : options_(std::move(options)), services_(std::make_shared<Services>()), watchdog_(services_) {
  services_->log =
      std::make_shared<StageLog>(options_.log ? options_.log : make_stderr_log(LogFormat::text, LogLevel::info));
  services_->tuning = options_.tuning;
  services_->clock = make_system_clock();
  services_->host = services_->texts.intern(host_name());
  services_->run_id = services_->texts.intern(make_uuid());
  services_->state_root = options_.state_root.empty() ? default_state_root() : options_.state_root;
  graph_.pipeline = std::move(pipeline);
  services_->log->set_places(places_of(graph_.pipeline));
}

Engine::~Engine() {
  if (left_behind_) graveyard().push_back(services_);
}

int Engine::exit_code(const Error& error) noexcept {
  return error.disposition == Disposition::unavailable ? kExitUnavailable : kExitFailed;
}

int Engine::failed(const Error& error) {
  say(LogLevel::error, error.message);
  return exit_code(error);
}

int Engine::run() {
  try {
    if (options_.handle_signals) {
      signals_ = std::make_unique<Signals>(Signals::Handlers{
          [this] { stop(); }, [this] { request_reload(); },
          [this] { say(LogLevel::error, "second signal: leaving at once, what is not delivered is lost"); }});
    }
    if (const auto bound = listen(); !bound) return failed(bound.error());
    if (const int code = build()) return finish(code);
    if (const int code = start_sources()) return finish(code);
    start_rest();
    loop();
  } catch (const std::system_error& error) {  // no more threads or descriptors
    say(LogLevel::error, std::string("out of resources: ") + error.what());
    return finish(kExitFailed);
  }
  return finish(kExitOk);
}

Result<void> Engine::listen() {
  const auto& settings = graph_.pipeline.settings;
  services_->metrics.on_collect([this] {
    const std::lock_guard lock(mutex_);
    refresh_gauges(*services_, graph_, ledger_);
  });
  if (settings.metrics_listen.empty()) return {};
  auto server =
      HttpServer::listen(settings.metrics_listen, [services = services_.get()](std::string_view path) -> HttpResponse {
        if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", services->metrics.text()};
        if (path == "/healthz") return services->health.healthz();
        if (path == "/readyz") return services->health.readyz();
        return {404, "text/plain; charset=utf-8", "there are /metrics, /healthz and /readyz\n"};
      });
  if (!server) {
    if (settings.metrics_listen_explicit) return fail("metrics: " + server.error().message);
    say(LogLevel::warning, "no metrics server: " + server.error().message);
    return {};
  }
  server_ = std::move(*server);
  port_ = server_->port();
  return {};
}

int Engine::build() {
  for (const auto& spec : graph_.pipeline.stages) graph_.nodes.push_back(make_node(spec, services_));
  wire(graph_);
  {
    const std::lock_guard lock(mutex_);
    ledger_.change(graph_);
  }
  // Sinks first: what fails most often fails before anything is attached.
  for (auto at = graph_.nodes.rbegin(); at != graph_.nodes.rend(); ++at) {
    if (const auto result = core::build(**at); !result) return failed(result.error());
  }
  return 0;
}

std::function<void()> Engine::privilege_hook() const {
  if (!options_.drop_privileges) return {};
  return [services = services_] {
    if (const auto result = drop_privileges(); !result)
      services->log->write(LogLevel::warning, {}, "privileges: " + result.error().message);
  };
}

int Engine::start_sources() {
  const auto hook = privilege_hook();
  graph_.each<SourceNode>([&](SourceNode& source) { source.launch(hook); });
  std::vector<SourceNode*> waiting;
  graph_.each<SourceNode>([&](SourceNode& source) { waiting.push_back(&source); });
  int code = 0;
  while (!waiting.empty() && code == 0 && !stop_requested_) {
    watchdog_.look(graph_);
    std::erase_if(waiting, [&](SourceNode* source) {
      const auto result = source->started();
      if (result && !result->ok()) code = failed(located(source->spec(), result->error()));
      return result.has_value();
    });
    if (!waiting.empty() && code == 0) services_->main.sleep(100ms);
  }
  return code;
}

void Engine::start_rest() {
  if (const auto hook = privilege_hook()) {
    hook();
    if (signals_) signals_->perform(hook);
  }
  if (server_) server_->serve();
  services_->pool.start(graph_.pipeline.settings.threads);
  services_->shutdown_timeout = graph_.pipeline.settings.shutdown_timeout.count();
  for (const auto& node : graph_.nodes)
    if (node->spec().kind != StageKind::source) node->open();
  graph_.each<SourceNode>([](SourceNode& source) { source.go(); });
  services_->health.set_ready(true);
  say(LogLevel::info, "running: " + std::to_string(graph_.nodes.size()) + " stages" +
                          (server_ ? ", metrics on port " + std::to_string(server_->port()) : ""));
}

void Engine::loop() {
  const auto start = Monotonic::now();
  const auto tick = std::clamp<std::chrono::nanoseconds>(options_.tuning.slow_call / 4, 10ms, 1s);
  auto next_rebuild = start + kRebuildPeriod;
  std::optional<Monotonic::time_point> deadline;
  while (!all_ended()) {
    const auto now = Monotonic::now();
    if (options_.duration > 0ns && now - start >= options_.duration) stop_requested_ = true;
    services_->shutdown_timeout = graph_.pipeline.settings.shutdown_timeout.count();  // a reload changes it
    const bool pointless = sinks_gone();
    if ((stop_requested_ || pointless) && !deadline) {
      say(LogLevel::info,
          pointless ? "stopping: there is no sink left" : "stopping: the sources end, the rest is delivered");
      services_->health.set_ready(false);
      services_->stopping = true;
      graph_.each<SourceNode>([](SourceNode& source) {
        source.wake();
        source.end_without_run();
      });
      deadline = now + graph_.pipeline.settings.shutdown_timeout;
      services_->stop_by = deadline->time_since_epoch().count();
    }
    if (deadline && now >= *deadline) return abandon();
    if (!deadline) handle_reload();
    if (now >= next_rebuild) {
      rebuild_broken();
      next_rebuild = now + kRebuildPeriod;
    }
    watchdog_.look(graph_);
    auto sleep = tick;
    if (deadline) sleep = std::min<std::chrono::nanoseconds>(sleep, *deadline - now);
    if (!deadline && options_.duration > 0ns)
      sleep = std::min<std::chrono::nanoseconds>(
          sleep, std::max<std::chrono::nanoseconds>(start + options_.duration - now, 1ms));
    services_->main.sleep(sleep);
  }
}

bool Engine::all_ended() const {
  return std::all_of(graph_.nodes.begin(), graph_.nodes.end(), [](const auto& node) { return node->ended(); });
}

// A source goes on, and nobody is left to deliver what it brings.
bool Engine::sinks_gone() const {
  bool source = false;
  bool sink = false;
  graph_.each<SourceNode>([&](const SourceNode& node) { source = source || !node.sent_end(); });
  graph_.each<SinkNode>([&](const SinkNode& node) { sink = sink || !(node.gone() || node.ended()); });
  return source && !sink;
}

void Engine::stop() {
  stop_requested_ = true;
  services_->main.signal();
}

void Engine::request_reload() {
  ++reloads_requested_;
  services_->main.signal();
}

void Engine::handle_reload() {
  const unsigned requested = reloads_requested_;
  if (requested == reloads_done_) return;
  const auto start = Monotonic::now();
  auto result = [&]() -> Result<std::string> {
    if (!options_.reload) return fail("there is nothing to reload from");
    auto pipeline = options_.reload();
    if (!pipeline) return pipeline.error();
    Reload reload{services_, graph_, ledger_, mutex_, privilege_hook(), {}, {}};
    return reload.run(std::move(*pipeline));
  }();
  services_->metrics.counter("fffa_reloads_total", "Reloads, by result", {{"result", result ? "ok" : "failed"}}).add();
  if (result) {
    say(LogLevel::info, "reloaded in " + since(start) + ": " + *result);
    services_->health.recover("reload");
  } else {
    say(LogLevel::error, "not reloaded, the old pipeline goes on: " + result.error().message);
    services_->health.degrade("reload", result.error().message);
  }
  reloads_done_ = requested;
}

// Stages that a failed reload could not bring back, or that ended on it. Sinks see to themselves.
void Engine::rebuild_broken() {
  for (const auto& node : graph_.nodes) {
    auto* source = dynamic_cast<SourceNode*>(node.get());
    if (source && source->retired() && !services_->stopping && source->join(1s))
      source->exclusively(1s, [&] { static_cast<void>(source->demolish(1s)); });
    const bool over = source ? services_->stopping.load() : node->ended();
    if (node->built() || over || is_sink(node->spec().kind)) continue;
    node->count_rebuild();
    Result<void> result;
    node->exclusively(1s, [&] { result = node->build(); });
    if (result && node->built() && source) result = source->relaunch(privilege_hook(), 1s);
    if (!result) services_->log->write(LogLevel::error, node->id(), "rebuild: " + result.error().message);
    if (!node->built()) continue;
    services_->health.recover(node->id());
    if (source) source->go();
    node->wake();
  }
}

void Engine::abandon() {
  say(LogLevel::error,
      "the shutdown timeout is over: what is not delivered, nor in a buffer on disk, nor read again from its "
      "source, is given up");
  services_->abandoned = true;
}

void Engine::join_all(std::chrono::nanoseconds limit) {
  services_->abandoned = true;
  graph_.each<SourceNode>([](SourceNode& source) { source.abandon(); });
  for (const auto& node : graph_.nodes) node->wake();
  const auto deadline = Monotonic::now() + limit;
  for (const auto& node : graph_.nodes) {
    if (node->join(std::max<std::chrono::nanoseconds>(deadline - Monotonic::now(), 0ns))) continue;
    const auto call = node->call();
    services_->log->write(
        LogLevel::error, node->id(),
        std::string(call.since != 0 && call.what ? call.what : "its thread") + " does not return: left behind");
    node->let_go();
    left_behind_ = true;
  }
  if (!services_->pool.stop(std::max<std::chrono::nanoseconds>(deadline - Monotonic::now(), 200ms))) {
    for (const auto& node : graph_.nodes) {
      const auto call = node->call();
      const auto kind = node->spec().kind;
      if (kind != StageKind::source && !is_sink(kind) && call.since != 0 && call.what)
        services_->log->write(LogLevel::error, node->id(), std::string(call.what) + " does not return: left behind");
    }
    left_behind_ = true;
  }
}

int Engine::finish(int code) {
  services_->health.set_ready(false);
  join_all(options_.tuning.leave_behind);
  server_.reset();
  const bool started = code == kExitOk;
  const bool complete = !started || report_balances();
  const int source_failure = failure_of_sources();
  if (left_behind_) {
    for (const auto& node : graph_.nodes) graveyard().push_back(node);
  } else {
    for (const auto& node : graph_.nodes) node->set_outputs({});
    for (const auto& node : graph_.nodes) left_behind_ = !node->demolish(options_.tuning.leave_behind) || left_behind_;
  }
  if (!started) return code;
  if (!complete || services_->lost_uncounted) return kExitLost;
  return source_failure;
}

bool Engine::report_balances() {
  bool complete = true;
  for (const auto& [sink, balance] : balances()) {
    const bool good = balance.complete() && balance.unaccounted().empty();
    services_->log->write_as_it_is(good ? LogLevel::info : LogLevel::warning, sink, to_string(balance));
    complete = complete && balance.complete();
  }
  return complete;
}

int Engine::failure_of_sources() const {
  int code = kExitOk;
  graph_.each<SourceNode>([&](SourceNode& source) {
    if (const auto error = source.failure()) code = std::max(code, exit_code(*error));
  });
  return code;
}

std::map<std::string, Balance> Engine::balances() const {
  const std::lock_guard lock(mutex_);
  return ledger_.balances();
}

}  // namespace fffa::core
