// SPDX-License-Identifier: MIT
#include "kernel_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <string>

#include "flow.skel.h"
#include "newer.h"
#include "privileges.h"

namespace fffa::ebpf {
namespace {

constexpr std::size_t kRecordBytes = FFFA_DRAIN_CHUNK * sizeof(fffa_drain_record);

// libbpf says what went wrong line by line, to a function of the process's; the first line names the object and the
// cause.
thread_local std::string libbpf_said;

__attribute__((format(printf, 2, 0))) int listen(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN || !libbpf_said.empty()) return 0;
  std::array<char, 512> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  libbpf_said.assign(line.data());
  while (libbpf_said.ends_with('\n')) libbpf_said.pop_back();
  return length;
}

struct CloseObject {
  void operator()(bpf_object* object) const noexcept { bpf_object__close(object); }
};

// By Program.
constexpr std::array<const char*, static_cast<std::size_t>(Program::count)> kPrograms = {
    "fffa_xdp_ingress", "fffa_tc_ingress",   "fffa_tc_egress",  "fffa_hook_begin",  "fffa_hook_end",    "fffa_freed",
    "fffa_freed_for",   "fffa_traced_begin", "fffa_traced_end", "fffa_traced_back", "fffa_traced_freed"};

// The network namespace that this process is in.
std::uint32_t own_netns() {
  struct stat status {};
  return ::stat("/proc/self/ns/net", &status) == 0 ? static_cast<std::uint32_t>(status.st_ino) : 0;
}

// A program that the verifier refuses (EINVAL and others) wants a feature that this kernel does not have.
Error load_failure(int error) {
  const bool scarce = error == ENOMEM || error == EMFILE || error == ENFILE;
  return system_error("load the kernel programs" + explain_load_failure(error) + " (" + libbpf_said + ")", error,
                      scarce ? Disposition::fatal : Disposition::unavailable);
}

// Only the one called `name` is to be loaded.
void choose_program(bpf_object* object, std::string_view name) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, bpf_program__name(program) == name);
}

void add(fffa_count& sum, const fffa_count& more) {
  sum.packets += more.packets;
  sum.bytes += more.bytes;
}
fffa_count difference(const fffa_count& now, const fffa_count& before) {
  return {now.packets - before.packets, now.bytes - before.bytes};
}

// The counts of one kind, of both directions.
using Counts = fffa_count (fffa_interface_counters::*)[2];
constexpr std::array<Counts, 4> kKinds = {&fffa_interface_counters::seen, &fffa_interface_counters::filtered,
                                          &fffa_interface_counters::diverted, &fffa_interface_counters::lost};

}  // namespace

void KernelTable::Skeleton::operator()(flow_bpf* skeleton) const noexcept {
  flow_bpf__destroy(skeleton);
}
void KernelTable::Ring::operator()(ring_buffer* ring) const noexcept {
  ring_buffer__free(ring);
}

KernelTable::KernelTable(SkeletonPtr skeleton, const TableOptions& options)
    : skeleton_(std::move(skeleton)),
      entries_(options.entries),
      filling_(options.filling()),
      ring_bytes_(std::bit_ceil(options.ring_bytes)),
      per_cpu_(static_cast<std::size_t>(libbpf_num_possible_cpus())),
      reasons_per_cpu_(per_cpu_.size()),
      hooks_per_cpu_(per_cpu_.size()) {}

KernelTable::~KernelTable() {
  if (records_ != nullptr) ::munmap(const_cast<fffa_drain_record*>(records_), kRecordBytes);
}

Result<void> KernelTable::configure(flow_bpf& skeleton, const TableOptions& options) {
  const std::uint32_t buckets = fffa_bucket_count(options.entries);
  skeleton.rodata->table_entries = options.entries;
  skeleton.rodata->bucket_mask = buckets - 1;
  skeleton.rodata->open_tunnels = options.open_geneve ? FFFA_OPEN_GENEVE : 0;
  skeleton.rodata->tell_ends_from = options.filling();
  skeleton.rodata->with_verdicts = options.netfilter;
  skeleton.rodata->our_netns = own_netns();
  std::random_device random;
  for (auto& seed : skeleton.rodata->hash_seed) seed = random();
  const auto if_watched = [&](std::uint64_t size) { return options.netfilter ? size : 1; };
  const std::array<std::pair<bpf_map*, std::uint64_t>, 8> sizes = {{
      {skeleton.maps.flows, options.entries},
      {skeleton.maps.buckets, buckets},
      {skeleton.maps.tunnels, options.open_geneve ? options.entries : 1},
      {skeleton.maps.events, std::bit_ceil(options.ring_bytes)},
      {skeleton.maps.verdict_table, if_watched(options.entries)},
      {skeleton.maps.notes, if_watched(bpf_map__max_entries(skeleton.maps.notes))},
      {skeleton.maps.note_sets, if_watched(bpf_map__max_entries(skeleton.maps.note_sets))},
      {skeleton.maps.scratches, if_watched(bpf_map__max_entries(skeleton.maps.scratches))},
  }};
  for (const auto& [map, size] : sizes) {
    if (const int error = bpf_map__set_max_entries(map, static_cast<std::uint32_t>(size)); error != 0) {
      return system_error("size the kernel's tables", -error);
    }
  }
  return {};
}

Result<std::unique_ptr<KernelTable>> KernelTable::load(const TableOptions& options) {
  if (auto allowed = check_privileges(); !allowed) return allowed.error();
  if (auto enough = check_descriptors(); !enough) return fail("load the kernel programs: " + enough.error().message);
  libbpf_set_print(listen);
  libbpf_said.clear();
  SkeletonPtr skeleton(flow_bpf__open());
  if (!skeleton) return system_error("open the kernel programs (" + libbpf_said + ")", errno, Disposition::unavailable);
  if (auto done = configure(*skeleton, options); !done) return done.error();
  choose_program(skeleton->obj, "fffa_drain");
  if (const int error = flow_bpf__load(skeleton.get()); error != 0) return load_failure(-error);
  std::unique_ptr<KernelTable> table(new KernelTable(std::move(skeleton), options));
  if (auto done = table->map_records(); !done) return done.error();
  if (auto done = table->open_ring(); !done) return done.error();
  return table;
}

Result<void> KernelTable::map_records() {
  void* memory = ::mmap(nullptr, kRecordBytes, PROT_READ, MAP_SHARED, bpf_map__fd(skeleton_->maps.drain_records), 0);
  if (memory == MAP_FAILED) return kernel_error("map the read-out records");
  records_ = static_cast<const fffa_drain_record*>(memory);
  return {};
}

Result<int> KernelTable::program(Program which) {
  Descriptor& place = programs_[static_cast<std::size_t>(which)];
  if (!place) {
    auto loaded = load_program(which);
    if (!loaded) return loaded.error();
    place = std::move(*loaded);
  }
  return place.get();
}

// libbpf loads the programs of an object together: this one comes from an object of its own, with the table's maps.
Result<Descriptor> KernelTable::load_program(Program which) {
  const char* name = kPrograms[static_cast<std::size_t>(which)];
  libbpf_set_print(listen);
  libbpf_said.clear();
  std::size_t size = 0;
  const void* bytes = flow_bpf__elf_bytes(&size);
  bpf_object_open_opts open{};
  open.sz = sizeof open;
  open.object_name = bpf_object__name(skeleton_->obj);  // the names of .bss and .rodata begin with it
  const std::unique_ptr<bpf_object, CloseObject> object(bpf_object__open_mem(bytes, size, &open));
  if (!object) return load_failure(errno);
  choose_program(object.get(), name);
  bpf_program* chosen = bpf_object__find_program_by_name(object.get(), name);
  if (which == Program::hook_begin || which == Program::hook_end) {  // libbpf may be older than this type
    bpf_program__set_type(chosen, newer<bpf_prog_type>(kNetfilterProgram));
    bpf_program__set_expected_attach_type(chosen, newer<bpf_attach_type>(kNetfilterAttach));
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.get()) {
    const int fd = bpf_object__find_map_fd_by_name(skeleton_->obj, bpf_map__name(map));
    if (const int error = bpf_map__reuse_fd(map, fd); error != 0) return load_failure(-error);
  }
  if (const int error = bpf_object__load(object.get()); error != 0) return load_failure(-error);
  Descriptor program(::fcntl(bpf_program__fd(chosen), F_DUPFD_CLOEXEC, 0));
  if (!program) return system_error("keep a kernel program");
  return program;
}

std::uint32_t KernelTable::entries_touched() const noexcept {
  return std::min(__atomic_load_n(&skeleton_->bss->table_state.next_index, __ATOMIC_ACQUIRE), entries_);
}

Result<KernelTable::Drained> KernelTable::drain(fffa_drain_request request, std::span<const std::uint32_t> list) {
  if (!list.empty()) {
    list = list.first(std::min<std::size_t>(list.size(), FFFA_DRAIN_CHUNK));
    std::copy(list.begin(), list.end(), skeleton_->bss->drain_list);
    request.flags |= FFFA_DRAIN_LIST;
    request.start = 0;
    request.count = static_cast<std::uint32_t>(list.size());
  }
  skeleton_->bss->drain_request = request;
  std::array<std::uint8_t, 64> packet{};  // a test run wants one
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  options.repeat = 1;
  const int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.fffa_drain), &options);
  if (error != 0) return kernel_error("run the read-out program", -error);
  const fffa_drain_result result = skeleton_->bss->drain_result;
  return Drained{{records_, std::min<std::size_t>(result.records, FFFA_DRAIN_CHUNK)}, result};
}

int KernelTable::on_event(void* context, void* data, std::size_t size) {
  auto& reader = static_cast<KernelTable*>(context)->reader_;
  if (size < sizeof(fffa_event)) return 0;
  const bool more = (*reader.take)(*static_cast<const fffa_event*>(data));
  return ++reader.taken < reader.limit && more ? 0 : -ECANCELED;
}

Result<void> KernelTable::open_ring() {
  ring_.reset(ring_buffer__new(bpf_map__fd(skeleton_->maps.events), on_event, this, nullptr));
  if (!ring_) return kernel_error("map the ring buffer");
  return {};
}

int KernelTable::ring_fd() const noexcept {
  return ring_buffer__epoll_fd(ring_.get());
}

std::size_t KernelTable::read_ring(std::size_t limit, const std::function<bool(const fffa_event&)>& take) {
  reader_ = {&take, limit, 0};
  ring_buffer__consume(ring_.get());
  return reader_.taken;
}

bool KernelTable::read_place(std::uint32_t place, fffa_interface_counters& sum) {
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.interface_counters), &place, per_cpu_.data()) != 0) return false;
  for (const auto& cpu : per_cpu_) {
    for (const auto kind : kKinds) {
      for (int side = 0; side < 2; ++side) add((sum.*kind)[side], (cpu.*kind)[side]);
    }
  }
  return true;
}

std::vector<KernelTable::InterfaceDelta> KernelTable::take_interface_deltas() {
  std::vector<InterfaceDelta> deltas;
  for (std::uint32_t place = 0; place <= FFFA_INTERFACES; ++place) {
    const std::uint32_t owner = place < FFFA_INTERFACES ? skeleton_->bss->interface_at[place] : 0;
    if (place < FFFA_INTERFACES && owner == 0) continue;
    fffa_interface_counters now{};
    if (!read_place(place, now)) continue;
    auto& delta = deltas.emplace_back(InterfaceDelta{owner, {}}).counters;
    for (const auto kind : kKinds) {
      for (int side = 0; side < 2; ++side) {
        (delta.*kind)[side] = difference((now.*kind)[side], (interfaces_[place].*kind)[side]);
      }
    }
    interfaces_[place] = now;
  }
  return deltas;
}

std::array<fffa_reason_counters, FFFA_REASONS> KernelTable::take_reason_deltas() {
  std::array<fffa_reason_counters, FFFA_REASONS> deltas{};
  for (std::uint32_t reason = 0; reason < FFFA_REASONS; ++reason) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.reason_counters), &reason, reasons_per_cpu_.data()) != 0)
      continue;
    fffa_reason_counters now{};
    for (const auto& cpu : reasons_per_cpu_) {
      for (int side = 0; side < 2; ++side) add(now.side[side], cpu.side[side]);
    }
    for (int side = 0; side < 2; ++side) {
      deltas[reason].side[side] = difference(now.side[side], reasons_[reason].side[side]);
    }
    reasons_[reason] = now;
  }
  return deltas;
}

std::size_t KernelTable::set_monitored(
    const std::vector<std::pair<std::uint32_t, std::uint32_t>>& interfaces) noexcept {
  std::array<fffa_monitored, FFFA_INTERFACES> places{};
  std::size_t left_out = 0;
  for (const auto& [ifindex, directions] : interfaces) {
    std::uint32_t i = 0;
    while (i < FFFA_MONITORED_TRIES && places[(ifindex + i) % FFFA_INTERFACES].ifindex != 0) ++i;
    if (i < FFFA_MONITORED_TRIES)
      places[(ifindex + i) % FFFA_INTERFACES] = {ifindex, directions};
    else
      ++left_out;
  }
  std::copy(places.begin(), places.end(), skeleton_->bss->monitored);
  return left_out;
}

void KernelTable::count_hooks() noexcept {
  skeleton_->bss->count_hooks = 1;
}

void KernelTable::begin_notes() noexcept {
  skeleton_->bss->take_notes = FFFA_NOTES_BEGIN;
}

void KernelTable::take_notes() noexcept {
  skeleton_->bss->take_notes = FFFA_NOTES_TAKEN;
}

std::array<std::uint64_t, FFFA_UNATTRIBUTED> KernelTable::take_unattributed() {
  std::array<std::uint64_t, FFFA_UNATTRIBUTED> deltas{};
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const std::uint64_t now = __atomic_load_n(&skeleton_->bss->unattributed[i], __ATOMIC_RELAXED);
    deltas[i] = now - unattributed_[i];
    unattributed_[i] = now;
  }
  return deltas;
}

std::array<fffa_hook_counters, FFFA_HOOKS> KernelTable::take_hook_deltas() {
  std::array<fffa_hook_counters, FFFA_HOOKS> deltas{};
  for (std::uint32_t hook = 0; hook < FFFA_HOOKS; ++hook) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.hook_counters), &hook, hooks_per_cpu_.data()) != 0) continue;
    fffa_hook_counters now{};
    for (const auto& cpu : hooks_per_cpu_) {
      now.accepts += cpu.accepts;
      now.drops += cpu.drops;
      now.rejects += cpu.rejects;
      now.queues += cpu.queues;
    }
    const fffa_hook_counters& before = hooks_[hook];
    deltas[hook] = {now.accepts - before.accepts, now.drops - before.drops, now.rejects - before.rejects,
                    now.queues - before.queues};
    hooks_[hook] = now;
  }
  return deltas;
}

void KernelTable::release_interface(std::uint32_t ifindex) noexcept {
  for (auto& owner : skeleton_->bss->interface_at) {
    if (owner == ifindex) __atomic_store_n(&owner, 0, __ATOMIC_RELEASE);
  }
}

}  // namespace fffa::ebpf
