#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <thread>

namespace deq::testing {

/// What an HttpServer does with a request.
struct ServerManners {
  bool has_parts = true;   ///< answers Range with 206, else with 200 and everything
  int broken_answers = 0;  ///< the first so many end in the middle of what they promised
  int status = 0;          ///< not 0: answers with this status and no body
  std::string content{};
};

/// A server on this machine that gives one file, whatever it is asked for. It ends with the object.
class HttpServer {
 public:
  explicit HttpServer(ServerManners manners);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] int requests() const { return requests_; }
  [[nodiscard]] std::size_t bytes_sent() const { return bytes_sent_; }

 private:
  void serve();
  void answer(int connection);
  void send(int connection, const std::string& bytes);

  ServerManners manners_;
  int socket_ = -1;
  int port_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<std::size_t> bytes_sent_ = 0;  ///< of the content
  std::thread thread_;
};

}  // namespace deq::testing
