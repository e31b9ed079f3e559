#pragma once

#include <filesystem>

namespace deq {

/// Keeps other processes from writing a run's folder while this one does; the system gives it up with the process.
class FolderLock {
 public:
  /// Does nothing where the file system knows no locks.
  /// Errors (RequestError): another process has `folder`, which must exist.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace deq
