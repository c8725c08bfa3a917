// SPDX-License-Identifier: MIT
#include "fffa_aws/object_upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa_aws/s3_text.h"

namespace fffa::aws {
namespace {

using Kind = S3Reply::Kind;

constexpr std::uint64_t kMaxParts = 10'000;
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr int kAttempts = 3;                 // of a part, before others have their turn
constexpr const char* kListedParts = "100";  // fit into an answer; what more there is goes once more
constexpr const char* kDigestHeader = "x-amz-meta-fffa-sha256";

Uploaded failed(const S3Reply& reply) {
  return {reply.kind, false, reply.error, reply.retry_after};
}
Uploaded failed_locally(const std::string& what) {
  return {Kind::rejected, false, system_error(what).message, {}};
}
Uploaded stored(bool already_there) {
  return {Kind::ok, already_there, {}, {}};
}

// ---- the file

S3Body part_of(int fd, std::uint64_t begin, std::uint64_t size) {
  S3Body body;
  body.size = size;
  body.read = [fd, begin, size](std::uint64_t offset, char* buffer, std::size_t room) -> std::int64_t {
    return ::pread(fd, buffer, std::min<std::uint64_t>(room, size - std::min(offset, size)),
                   static_cast<off_t>(begin + offset));
  };
  return body;
}

// False: it cannot be read, or is shorter than it was.
bool hash(const S3Body& body, Sha256& sum) {
  std::vector<char> buffer(256 * 1024);
  for (std::uint64_t done = 0; done < body.size;) {
    const auto n = body.read(done, buffer.data(), buffer.size());
    if (n <= 0) return false;
    sum.add({buffer.data(), static_cast<std::size_t>(n)});
    done += static_cast<std::uint64_t>(n);
  }
  return true;
}

// ---- the mark of an upload in parts

std::optional<std::string> read_mark(const LocalFile& file) {
  const Descriptor mark(::openat(file.folder, upload_mark(file.name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!mark) return std::nullopt;
  std::string id(2048, '\0');
  const auto n = ::read(mark.get(), id.data(), id.size());
  id.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return id;
}

// A full disk has no room for it, and gets some by this very upload: that goes on without. Killed then, it leaves parts
// in the store. False: errno says why.
bool write_mark(const LocalFile& file, const std::string& id) {
  const Descriptor mark(::openat(file.folder, upload_mark(file.name).c_str(),
                                 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!mark) return errno == ENOSPC || errno == EDQUOT;
  if (::write(mark.get(), id.data(), id.size()) == static_cast<ssize_t>(id.size()) && ::fsync(mark.get()) == 0)
    return ::fsync(file.folder) == 0;
  const int error = errno;
  static_cast<void>(!::ftruncate(mark.get(), 0));  // an empty one: the id is asked for by the key
  errno = error;
  return error == ENOSPC || error == EDQUOT;
}

void remove_mark(const LocalFile& file) {
  static_cast<void>(::unlinkat(file.folder, upload_mark(file.name).c_str(), 0));
}

// ---- one upload

class Upload {
 public:
  Upload(S3& s3, const LocalFile& file, const std::string& key, const Digest& digest)
      : s3_(s3), file_(file), key_(key), digest_(digest) {}

  Uploaded run() {
    if (const auto id = read_mark(file_)) {
      const auto there = same();
      if (there == Same::yes) return finished(true);
      if (there != Same::no && !id->empty()) {
        const auto listed = s3_.send({"GET", key_, {{"uploadId", *id}, {"max-parts", kListedParts}}, {}, {}});
        if (listed.ok()) return send(*id, listed_parts(listed.http.body));
        if (may_pass(listed.kind)) return failed(listed);
      }
      if (auto ended = end_parts(*id); !ended.ok()) return failed(ended);
      remove_mark(file_);
    }
    return file_.size <= s3_.options().part_size ? whole() : in_parts();
  }

 private:
  enum class Same { yes, no, absent, unknown };
  using Parts = std::vector<ListedPart>;

  S3& s3_;
  const LocalFile& file_;
  const std::string& key_;
  const Digest& digest_;
  S3Reply comparison_;

  // The same upload may succeed later.
  static bool may_pass(Kind kind) { return kind == Kind::busy || kind == Kind::unreachable || kind == Kind::stopped; }

  Uploaded finished(bool already_there) {
    remove_mark(file_);
    return stored(already_there);
  }

  // Whether the object of this key has our bytes.
  Same same() {
    comparison_ = s3_.send({"HEAD", key_, {}, {{"x-amz-checksum-mode", "ENABLED"}}, {}});
    if (comparison_.kind == Kind::absent) return Same::absent;
    if (!comparison_.ok()) return Same::unknown;
    const auto& http = comparison_.http;
    const bool equal =
        http.header("content-length") == std::to_string(file_.size) &&
        (http.header(kDigestHeader) == hex(digest_) || http.header("x-amz-checksum-sha256") == base64(digest_));
    return equal ? Same::yes : Same::no;
  }

  // The key is taken: by ourselves, before we were told so?
  Uploaded taken(const S3Reply& reply) {
    switch (same()) {
      case Same::yes: return finished(true);
      case Same::no: return {Kind::exists, false, reply.error + ": other bytes are there", {}};
      default: return failed(comparison_.kind == Kind::absent ? reply : comparison_);
    }
  }

  Fields headers(bool conditional) const {
    Fields fields;
    if (conditional && s3_.conditional) fields.emplace_back("if-none-match", "*");
    return fields;
  }

  // Of a server that does not know If-None-Match: looks first. True: `outcome` says all.
  bool looked(Uploaded& outcome) {
    if (s3_.conditional) return false;
    const auto found = same();
    if (found == Same::yes) outcome = finished(true);
    if (found == Same::no) outcome = {Kind::exists, false, key_ + ": other bytes are there", {}};
    return found == Same::yes || found == Same::no;
  }

  Uploaded whole() {
    Uploaded outcome;
    if (looked(outcome)) return outcome;
    auto body = part_of(file_.fd, 0, file_.size);
    body.digest = digest_;
    auto fields = headers(true);
    fields.emplace_back("content-type", "application/octet-stream");
    fields.emplace_back("x-amz-checksum-sha256", base64(digest_));
    fields.emplace_back(kDigestHeader, hex(digest_));
    const auto reply = s3_.send({"PUT", key_, {}, std::move(fields), std::move(body)});
    if (reply.kind == Kind::exists) return taken(reply);
    if (reply.kind == Kind::unsupported && std::exchange(s3_.conditional, false)) return whole();
    if (!reply.ok()) return failed(reply);
    if (auto trouble = unconfirmed(reply, digest_)) return *trouble;
    return stored(false);
  }

  // A success that does not say what was stored is none.
  std::optional<Uploaded> unconfirmed(const S3Reply& reply, const Digest& digest) const {
    const auto checksum = reply.http.header("x-amz-checksum-sha256");
    if (reply.http.header("etag").empty())
      return Uploaded{Kind::busy, false, "PUT " + key_ + ": status 200 without an ETag", {}};
    if (!checksum.empty() && checksum != base64(digest))
      return Uploaded{Kind::busy, false, "PUT " + key_ + ": the server stored other bytes", {}};
    return std::nullopt;
  }

  Uploaded in_parts() {
    Uploaded outcome;
    if (looked(outcome)) return outcome;
    // The mark is there before the upload is, so that none is ever forgotten.
    if (!write_mark(file_, "")) return failed_locally("write " + upload_mark(file_.name));
    const auto begun = s3_.send({"POST",
                                 key_,
                                 {{"uploads", ""}},
                                 {{"content-type", "application/octet-stream"},
                                  {"x-amz-checksum-algorithm", "SHA256"},
                                  {kDigestHeader, hex(digest_)}},
                                 text_body("")});
    if (!begun.ok()) return failed(begun);
    const auto id = xml_text(begun.http.body, "UploadId");
    if (id.empty()) return {Kind::busy, false, "POST " + key_ + ": the answer has no UploadId", {}};
    if (!write_mark(file_, id)) return abandon(id, failed_locally("write " + upload_mark(file_.name)));
    return send(id, {});
  }

  Uploaded send(const std::string& id, const Parts& there) {
    Parts parts;
    auto sent = send_parts(id, there, parts);
    if (sent.kind == Kind::ok) return complete(id, parts);
    return may_pass(sent.kind) || sent.kind == Kind::denied ? sent : abandon(id, std::move(sent));
  }

  // All but what is there.
  Uploaded send_parts(const std::string& id, const Parts& there, Parts& parts) {
    const auto fewest = (file_.size + kMaxParts - 1) / kMaxParts;
    const auto usual = s3_.options().part_size;
    const auto size = fewest <= usual ? usual : (fewest + kMiB - 1) / kMiB * kMiB;
    for (std::uint64_t at = 0; at < file_.size; at += size) {
      auto body = part_of(file_.fd, at, std::min(size, file_.size - at));
      Sha256 sum;
      if (!hash(body, sum)) return failed_locally("read " + file_.name);
      body.digest = sum.finish();
      ListedPart part{parts.size() + 1, body.size, {}, base64(body.digest)};
      const auto known = std::ranges::find_if(there, [&part](const ListedPart& listed) {
        return listed.number == part.number && listed.size == part.size && listed.checksum == part.checksum;
      });
      if (known != there.end()) {
        part.etag = known->etag;
      } else {
        const auto reply = send_part(id, part.number, body);
        if (!reply.ok()) return failed(reply);
        if (auto trouble = unconfirmed(reply, body.digest)) return *trouble;
        part.etag = reply.http.header("etag");
      }
      parts.push_back(std::move(part));
    }
    return stored(false);
  }

  S3Reply send_part(const std::string& id, std::size_t number, const S3Body& body) {
    for (int attempt = 1;; ++attempt) {
      auto reply = s3_.send({"PUT",
                             key_,
                             {{"partNumber", std::to_string(number)}, {"uploadId", id}},
                             {{"x-amz-checksum-sha256", base64(body.digest)}},
                             body});
      const bool again = reply.kind == Kind::busy || reply.kind == Kind::unreachable;
      if (!again || attempt == kAttempts || reply.retry_after.count() > 1) return reply;
      pause(attempt);
    }
  }

  void pause(int attempt) const {
    thread_local std::minstd_rand random{std::random_device{}()};
    auto left = 100 * (1 << attempt) + static_cast<int>(random() % 200);
    for (; left > 0 && !s3_.stopping(); left -= 20) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }

  Uploaded complete(const std::string& id, const Parts& parts) {
    std::string xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    for (const auto& part : parts) {
      xml.append("<Part><PartNumber>").append(std::to_string(part.number)).append("</PartNumber><ETag>");
      xml.append(xml_escape(part.etag)).append("</ETag><ChecksumSHA256>").append(part.checksum);
      xml.append("</ChecksumSHA256></Part>");
    }
    xml += "</CompleteMultipartUpload>";
    const auto reply = s3_.send({"POST", key_, {{"uploadId", id}}, headers(true), text_body(std::move(xml))});
    if (reply.ok() && !xml_text(reply.http.body, "ETag").empty()) return finished(false);
    if (reply.kind == Kind::unsupported && std::exchange(s3_.conditional, false)) return complete(id, parts);
    if (reply.kind == Kind::exists) return abandon(id, taken(reply));
    if (reply.kind == Kind::stopped) return failed(reply);
    // Maybe it was done all the same: the answer was lost, or said so in words that we do not know.
    if (same() == Same::yes) return finished(true);
    auto outcome = failed(reply);
    if (reply.ok()) outcome = {Kind::busy, false, "POST " + key_ + ": the answer does not say that it is stored", {}};
    return may_pass(outcome.kind) || outcome.kind == Kind::denied ? outcome : abandon(id, std::move(outcome));
  }

  // Ends the upload; if that fails the mark stays, for the next attempt.
  Uploaded abandon(const std::string& id, Uploaded outcome) {
    if (end_parts(id).ok()) remove_mark(file_);
    return outcome;
  }

  S3Reply end(const std::string& id) {
    auto reply = s3_.send({"DELETE", key_, {{"uploadId", id}}, {}, {}});
    if (reply.kind == Kind::absent) reply.kind = Kind::ok;
    return reply;
  }

  // Without an id the upload may have been begun, and the answer never have come.
  S3Reply end_parts(const std::string& id) {
    if (!id.empty()) return end(id);
    auto reply = s3_.send({"GET", "", {{"uploads", ""}, {"prefix", key_}}, {}, {}});
    if (!reply.ok()) return reply;
    for (const auto& found : upload_ids(reply.http.body, key_)) {
      if (auto ended = end(found); !ended.ok()) return ended;
    }
    return reply;
  }
};

}  // namespace

std::string upload_mark(std::string_view name) {
  return "." + std::string(name) + ".upload";
}

Uploaded upload_file(S3& s3, const LocalFile& file, const std::string& key) {
  Sha256 sum;
  if (!hash(part_of(file.fd, 0, file.size), sum)) return failed_locally("read " + file.name);
  const auto digest = sum.finish();
  return Upload(s3, file, key, digest).run();
}

}  // namespace fffa::aws
