#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace deq {

/// Told now and then how many bytes have arrived, and of how many (0: not known). False ends the download.
using OnBytes = std::function<bool(std::int64_t, std::int64_t)>;

/// How often a download that breaks off is taken up again, and how long it waits before that (doubled each time).
struct Retries {
  int count = 4;
  double first_wait_s = 1;
};

/// Fetches `url` (http, https, ftp or file) into `path` and goes on where the file there ends; from the beginning when
/// the server has no parts to give. @returns false when `on_bytes` ended it: what has arrived stays, as after an error.
/// Errors: Error naming url and reason: no connection after all retries, the server's answer, a full disk.
bool download(const std::string& url, const std::filesystem::path& path, const OnBytes& on_bytes,
              const Retries& retries = {});

}  // namespace deq
