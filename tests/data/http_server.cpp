#include "tests/data/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"

namespace deq::testing {

HttpServer::HttpServer(ServerManners manners)
    : manners_(std::move(manners)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  check(socket_ >= 0 && ::bind(socket_, any, size) == 0 && ::listen(socket_, 8) == 0 &&
            ::getsockname(socket_, any, &size) == 0,
        "test", "no server on this machine");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  ::shutdown(socket_, SHUT_RDWR);  // ends accept
  thread_.join();
  ::close(socket_);
}

std::string HttpServer::url() const { return concat("http://127.0.0.1:", port_); }

void HttpServer::serve() {
  for (int connection = ::accept(socket_, nullptr, nullptr); connection >= 0;
       connection = ::accept(socket_, nullptr, nullptr)) {
    answer(connection);
    ::close(connection);
  }
}

void HttpServer::send(int connection, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t now = ::send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return;
    sent += static_cast<std::size_t>(now);
  }
}

void HttpServer::answer(int connection) {
  std::string request;
  char piece[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t count = ::recv(connection, piece, sizeof piece, 0);
    if (count <= 0) return;
    request.append(piece, static_cast<std::size_t>(count));
  }
  const int before = requests_++;
  const std::string& content = manners_.content;
  const std::string range = "Range: bytes=";
  const std::size_t at = request.find(range);
  const std::size_t begin =
      manners_.has_parts && at != std::string::npos ? std::stoul(request.substr(at + range.size())) : 0;
  const bool is_beyond = begin > 0 && begin >= content.size();
  const int status = manners_.status != 0 ? manners_.status : is_beyond ? 416 : begin > 0 ? 206 : 200;
  const bool has_body = status == 200 || status == 206;
  std::string head =
      concat("HTTP/1.1 ", status,
             " as asked\r\nConnection: close\r\nContent-Length: ", has_body ? content.size() - begin : 0, "\r\n");
  if (status == 206)
    head += concat("Content-Range: bytes ", begin, "-", content.size() - 1, "/", content.size(), "\r\n");
  std::string body = has_body ? content.substr(begin) : "";
  if (before < manners_.broken_answers) body.resize(body.size() / 2);
  bytes_sent_ += body.size();
  send(connection, head + "\r\n" + body);
}

}  // namespace deq::testing
