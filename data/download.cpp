#include "data/download.h"

#include <curl/curl.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "core/error.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct FreeTransfer {
  void operator()(CURL* transfer) const { curl_easy_cleanup(transfer); }
};
using Transfer = std::unique_ptr<CURL, FreeTransfer>;

/// One attempt: where its bytes go.
struct Attempt {
  std::FILE* file = nullptr;
  std::int64_t begin = 0;  ///< bytes that were there before
  const OnBytes* on_bytes = nullptr;
  int write_error = 0;  ///< errno
};

std::size_t write_bytes(const char* bytes, std::size_t, std::size_t count, void* data) {
  auto& attempt = *static_cast<Attempt*>(data);
  const std::size_t written = std::fwrite(bytes, 1, count, attempt.file);
  if (written != count) attempt.write_error = errno;
  return written;
}

int tell_progress(void* data, curl_off_t all, curl_off_t done, curl_off_t, curl_off_t) {
  const auto& attempt = *static_cast<const Attempt*>(data);
  return (*attempt.on_bytes)(attempt.begin + done, all > 0 ? attempt.begin + all : 0) ? 0 : 1;
}

Transfer new_transfer(const std::string& url, Attempt& attempt, char* message) {
  constexpr long kConnectSeconds = 30, kSilentSeconds = 30;
  Transfer transfer(curl_easy_init());
  check(transfer != nullptr, url, "the library of transfers does not start");
  CURL* const handle = transfer.get();
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https,ftp,file");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "deq");
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
  curl_easy_setopt(handle, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(attempt.begin));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, write_bytes);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &attempt);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, tell_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &attempt);
  return transfer;
}

enum class Outcome : std::uint8_t { complete, ended_by_caller, no_parts, broken_off, failed };

struct Result {
  Outcome outcome = Outcome::failed;
  std::string reason;
};

Outcome outcome_of(CURLcode code, long answer) {
  constexpr long kRangeNotSatisfiable = 416, kServerError = 500;
  if (answer == kRangeNotSatisfiable) return Outcome::no_parts;  // curl takes it for the end of a whole file
  switch (code) {
    case CURLE_OK: return Outcome::complete;
    case CURLE_ABORTED_BY_CALLBACK: return Outcome::ended_by_caller;
    case CURLE_RANGE_ERROR:
    case CURLE_BAD_DOWNLOAD_RESUME: return Outcome::no_parts;
    case CURLE_HTTP_RETURNED_ERROR: return answer >= kServerError ? Outcome::broken_off : Outcome::failed;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return Outcome::broken_off;
    default: return Outcome::failed;
  }
}

Result attempt_once(const std::string& url, const fs::path& path, const OnBytes& on_bytes) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "ab"));
  check(file != nullptr, path.string(), "cannot be written: ", std::strerror(errno));
  std::fseek(file.get(), 0, SEEK_END);
  Attempt attempt{.file = file.get(), .begin = std::ftell(file.get()), .on_bytes = &on_bytes};
  char message[CURL_ERROR_SIZE] = "";
  const Transfer transfer = new_transfer(url, attempt, message);
  const CURLcode code = curl_easy_perform(transfer.get());
  if (std::fflush(file.get()) != 0) attempt.write_error = errno;
  check(attempt.write_error == 0, path.string(), "cannot be written: ", std::strerror(attempt.write_error),
        "; what has arrived stays, and the same command goes on there");
  long answer = 0;
  curl_easy_getinfo(transfer.get(), CURLINFO_RESPONSE_CODE, &answer);
  return {outcome_of(code, answer), *message != '\0' ? message : curl_easy_strerror(code)};
}

/// Waits in short naps. @returns false when the caller ends the download meanwhile
bool wait(double seconds, std::int64_t bytes, const OnBytes& on_bytes) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kNap{50};
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < end) {
    if (!on_bytes(bytes, 0)) return false;
    std::this_thread::sleep_for(kNap);
  }
  return true;
}

}  // namespace

bool download(const std::string& url, const fs::path& path, const OnBytes& on_bytes, const Retries& retries) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  check(started == CURLE_OK, url, "the library of transfers does not start: ", curl_easy_strerror(started));
  double wait_s = retries.first_wait_s;
  for (int left = retries.count;;) {
    const Result result = attempt_once(url, path, on_bytes);
    if (result.outcome == Outcome::complete) return true;
    if (result.outcome == Outcome::ended_by_caller) return false;
    const auto arrived = static_cast<std::int64_t>(fs::file_size(path));
    if (result.outcome == Outcome::no_parts && arrived > 0) {
      fs::resize_file(path, 0);
      continue;
    }
    check(result.outcome == Outcome::broken_off, url, result.reason);
    check(left-- > 0, url, result.reason, " (after ", retries.count + 1, " attempts; ", arrived,
          " bytes have arrived, and the same command goes on there)");
    if (!wait(wait_s, arrived, on_bytes)) return false;
    wait_s *= 2;
  }
}

}  // namespace deq
