// SPDX-License-Identifier: MIT
// bench_kafka [BROKER TOPIC]: CPU time a record of the sink `kafka` (format, hand over, delivery report, completion)
// and of a bare librdkafka loop that sends messages of the same size, by turns, to the same brokers. Without a BROKER:
// librdkafka's mock brokers, in a process of their own. CPU is this process's, so the brokers' does not count.
#include <librdkafka/rdkafka.h>
// after it
#include <librdkafka/rdkafka_mock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../../../plugins/sinks/kafka/kafka_sink.h"
#include "../formats/sample.h"
#include "fffa/testing/harness.h"

namespace {

using namespace fffa;

constexpr std::size_t kBatch = 1024;
constexpr std::size_t kBatches = 128;
constexpr std::size_t kRecords = kBatch * kBatches;
constexpr std::size_t kInTheAir = 32;  // batches
constexpr std::size_t kRounds = 5;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// The mock brokers' address; the process that they are in ends with this one's pipe.
std::string start_mock() {
  std::array<int, 2> address{}, life{};
  if (::pipe(address.data()) != 0 || ::pipe(life.data()) != 0) std::abort();
  if (::fork() == 0) {
    ::close(life[1]);
    auto* const host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), nullptr, 0);
    auto* const cluster = rd_kafka_mock_cluster_new(host, 1);
    rd_kafka_mock_topic_create(cluster, "bench", 4, 1);
    const std::string text = rd_kafka_mock_cluster_bootstraps(cluster);
    if (::write(address[1], text.data(), text.size()) < 0) ::_exit(1);
    char nothing;
    while (::read(life[0], &nothing, 1) < 0) {
    }
    ::_exit(0);
  }
  ::close(life[0]);
  std::array<char, 256> text{};
  if (::read(address[0], text.data(), text.size() - 1) <= 0) std::abort();
  return text.data();
}

struct Setup {
  std::string broker, topic, format, compression;
};

struct Cost {
  double cpu = 1e9;   // ns a record; the least of the rounds
  double wall = 1e9;  // likewise
  void take(double cpu_now, double wall_now) {
    cpu = std::min(cpu, cpu_now / kRecords * 1e9);
    wall = std::min(wall, wall_now / kRecords * 1e9);
  }
};

template <typename F>
void measure(Cost& cost, F&& body) {
  const auto wall = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  body();
  cost.take(cpu_seconds() - cpu, std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count());
}

// ---- the headers of a record of bench::samples

struct BareHeader {
  const char *name, *value;
};
constexpr BareHeader kHeaders[] = {{"host", "ip-10-20-1-15.eu-central-1.compute.internal"},
                                   {"run_id", "8c5a2f6e-4b8e-4a57-9d6c-0f7a1b2c3d4e"},
                                   {"sequence", "1000000"},
                                   {"schema", "fffa.v3.Flow+json"}};
// On the wire: name and value, each with a byte for its length.
constexpr std::size_t kHeaderBytes = [] {
  std::size_t sum = 0;
  for (const auto& [name, value] : kHeaders) sum += 2 + std::string_view(name).size() + std::string_view(value).size();
  return sum;
}();

// ---- the bare loop: a payload and a key, as rdkafka_performance has them; with headers, as the sink has them

class Bare {
 public:
  Bare(const Setup& setup, const std::vector<std::string>& payloads, bool headers)
      : payloads_(payloads), headers_(headers) {
    auto* const conf = rd_kafka_conf_new();
    const auto set = [conf](const char* name, const std::string& value) {
      std::array<char, 256> error{};
      if (rd_kafka_conf_set(conf, name, value.c_str(), error.data(), error.size()) != RD_KAFKA_CONF_OK) {
        std::fprintf(stderr, "%s\n", error.data());
        std::exit(1);
      }
    };
    set("bootstrap.servers", setup.broker);
    set("enable.idempotence", "true");
    set("compression.type", setup.compression);
    set("queue.buffering.max.messages", "0");
    set("queue.buffering.max.kbytes", "2147483647");
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) std::abort();
      ++static_cast<Bare*>(self)->done_;
    });
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
    topic_ = rd_kafka_topic_new(producer_, setup.topic.c_str(), nullptr);
    thread_ = std::thread([this] {
      while (!stop_) rd_kafka_poll(producer_, 100);
    });
  }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;
  ~Bare() {
    stop_ = true;
    thread_.join();
    rd_kafka_topic_destroy(topic_);
    rd_kafka_destroy(producer_);
  }
  void run() {
    done_ = 0;
    for (std::size_t i = 0; i < kRecords; ++i) {
      while (i - done_ > kInTheAir * kBatch) std::this_thread::sleep_for(std::chrono::microseconds(200));
      send(payloads_[i % payloads_.size()]);
    }
    while (done_ < kRecords) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

 private:
  const std::vector<std::string>& payloads_;
  bool headers_;
  rd_kafka_t* producer_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  std::atomic<std::size_t> done_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;

  void send(const std::string& payload) {
    // as many characters as a Community ID
    const auto key = std::string_view(payload).substr(payload.size() / 2, 30);
    if (!headers_) {
      rd_kafka_produce(topic_, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, const_cast<char*>(payload.data()),
                       payload.size(), key.data(), key.size(), nullptr);
      return;
    }
    auto* const headers = rd_kafka_headers_new(std::size(kHeaders));
    for (const auto& [name, value] : kHeaders) rd_kafka_header_add(headers, name, -1, value, -1);
    rd_kafka_producev(producer_, RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                      RD_KAFKA_V_VALUE(const_cast<char*>(payload.data()), payload.size()),
                      RD_KAFKA_V_KEY(key.data(), key.size()), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
  }
};

// ---- the sink

class Done final : public Completion::State {
 public:
  explicit Done(std::atomic<std::size_t>& done) : done_(done) {}
  void complete(Result<void> result) noexcept override {
    if (!result) {
      std::fprintf(stderr, "%s\n", result.error().message.c_str());
      std::exit(1);
    }
    ++done_;
  }

 private:
  std::atomic<std::size_t>& done_;
};

class Sink {
 public:
  Sink(const Setup& setup, testing::TestContext& context, const char* more) {
    static constexpr StageType kType = stage_type<kafka::Kafka, kafka::Config>("kafka", "under test");
    const auto node = testing::parse_config("brokers: ['" + setup.broker + "']\ntopic: " + setup.topic +
                                            "\nformat: " + setup.format + "\ncompression: " + setup.compression + more);
    auto made = kType.create(*node, context);
    if (!made) {
      std::fprintf(stderr, "%s\n", made.error().message.c_str());
      std::exit(1);
    }
    stage_ = std::move(*made);
  }
  void run(const std::vector<std::shared_ptr<const Batch>>& batches) {
    done_ = 0;
    for (std::size_t i = 0; i < kBatches; ++i) {
      while (i - done_ > kInTheAir) std::this_thread::sleep_for(std::chrono::microseconds(200));
      static_cast<AsyncSink&>(*stage_).write(batches[i % batches.size()], Completion(std::make_unique<Done>(done_)));
    }
    while (done_ < kBatches) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

 private:
  std::atomic<std::size_t> done_{0};
  std::unique_ptr<Stage> stage_;
};

void show(const char* name, const Cost& cost, double base) {
  std::printf("  %-36s %7.0f ns/record %9.0f records/s a core %9.0f records/s here  %5.2f\n", name, cost.cpu,
              1e9 / cost.cpu, 1e9 / cost.wall, cost.cpu / base);
}

void compare(const Setup& setup) {
  testing::TestContext context;
  const auto records = bench::samples(context.texts(), kBatch);
  const auto format =
      setup.format == "json" ? make_json_format(context.texts()) : make_protobuf_format(context.texts());
  std::vector<std::string> payloads;
  std::size_t bytes = 0;
  for (const auto& record : records) {
    format->append(record, payloads.emplace_back());
    bytes += payloads.back().size();
  }
  // A batch of its own for each that may be in the air: the sink knows a batch that comes again.
  std::vector<std::shared_ptr<const Batch>> batches;
  for (std::size_t i = 0; i < kBatches; ++i) {
    auto batch = std::make_shared<Batch>();
    batch->records = records;
    batches.push_back(std::move(batch));
  }
  std::vector<std::string> larger;  // by what the headers take on the wire
  larger.reserve(payloads.size());
  for (const auto& payload : payloads) larger.push_back(payload + std::string(kHeaderBytes, 'x'));
  Bare plain(setup, payloads, false), as_large(setup, larger, false), with_headers(setup, payloads, true);
  Sink sink(setup, context, "\n"), without(setup, context, "\nheaders: []\n");
  Cost bare, large, headers, ours, ours_without;
  // What comes first finds the caches as another left them: each does once.
  const std::array<std::function<void()>, kRounds> turns = {
      [&] { measure(bare, [&] { plain.run(); }); }, [&] { measure(large, [&] { as_large.run(); }); },
      [&] { measure(headers, [&] { with_headers.run(); }); }, [&] { measure(ours, [&] { sink.run(batches); }); },
      [&] { measure(ours_without, [&] { without.run(batches); }); }};
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t turn = 0; turn < turns.size(); ++turn) turns[(round + turn) % turns.size()]();
  }
  std::printf("%s, %zu bytes a record, compression %s\n", setup.format.c_str(), bytes / records.size(),
              setup.compression.c_str());
  show("bare loop", bare, bare.cpu);
  show("bare loop, as large as with headers", large, bare.cpu);
  show("bare loop with the same headers", headers, bare.cpu);
  show("sink kafka", ours, bare.cpu);
  show("sink kafka, headers: []", ours_without, bare.cpu);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string broker = argc > 2 ? argv[1] : start_mock();
  const std::string topic = argc > 2 ? argv[2] : "bench";
  for (const auto* format : {"json", "protobuf"}) {
    for (const auto* compression : {"none", "lz4"}) compare({broker, topic, format, compression});
  }
  return 0;
}
