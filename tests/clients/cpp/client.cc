// A client of the presence gateway in C++, with grpc++.
//
//     client 127.0.0.1:50051            # without TLS
//     client localhost:50051 ca.pem     # with TLS, trusting this authority
//
// The stubs are generated into gen; see README.md, one directory up.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "genesys/presence/v1/presence_service.grpc.pb.h"
#include "genesys/presence/v1/presence_stream_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

using namespace genesys::presence::v1;
using grpc::ClientContext;
using grpc::Status;
using grpc::StatusCode;
using std::chrono::milliseconds;

constexpr char kServiceConfig[] = "../../../proto/service-config.json";

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> users() {
  std::vector<std::string> users;
  for (int n = 1; n <= 100; ++n) {
    std::ostringstream id;
    id << "00000000-0000-4000-8000-" << std::setw(12) << std::setfill('0') << n;
    users.push_back(id.str());
  }
  return users;
}

const std::vector<std::string> kUsers = users();

// Makes a channel; make one for the whole process, and keep it.
std::shared_ptr<grpc::Channel> connect(const std::string& address, const char* ca_file) {
  grpc::ChannelArguments arguments;
  // The retry policy and the timeout of each method.
  arguments.SetServiceConfigJSON(read_file(kServiceConfig));
  // The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
  arguments.SetMaxReceiveMessageSize(8 * 1024 * 1024);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  auto credentials = grpc::InsecureChannelCredentials();
  if (ca_file != nullptr) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = read_file(ca_file);
    credentials = grpc::SslCredentials(options);
  }
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

// The context of a call: the bearer token of its user, and its
// deadline. Without one, the timeout of the service config applies. Each call
// needs a context of its own.
struct Call : ClientContext {
  explicit Call(const std::string& token, std::optional<milliseconds> limit = {}) {
    // Over TLS, grpc::AccessTokenCredentials does the same.
    AddMetadata("authorization", "Bearer " + token);
    if (limit) set_deadline(std::chrono::system_clock::now() + *limit);
  }
};

void check(bool is_right, const std::string& otherwise) {
  if (is_right) return;
  std::cerr << otherwise << std::endl;
  std::exit(1);
}

void check(const Status& status) {
  check(status.ok(), "a call failed with " + std::to_string(status.error_code()) + ": " + status.error_message());
}

void failed_with(const Status& status, StatusCode code) {
  check(status.error_code() == code,
        "it ended with " + std::to_string(status.error_code()) + " in place of " + std::to_string(code));
}

// The detail of this type in an error.
template <typename Detail>
Detail detail(const Status& status) {
  google::rpc::Status decoded;
  check(decoded.ParseFromString(status.error_details()), "the details cannot be read");
  Detail found;
  for (const auto& detail : decoded.details()) {
    if (detail.Is<Detail>() && detail.UnpackTo(&found)) return found;
  }
  check(false, "there is no " + Detail::descriptor()->full_name() + " in " + decoded.ShortDebugString());
  return found;
}

class Client {
 public:
  Client(const std::shared_ptr<grpc::Channel>& channel, std::string token)
      : presence_(PresenceService::NewStub(channel)),
        presence_stream_(PresenceStreamService::NewStub(channel)),
        token_(std::move(token)) {}

  void unary() {
    UserPresence answer;
    check(get(kUsers[0], token_, milliseconds(5000), &answer));
    check(answer.presence_definition().system_presence() == "Available", answer.ShortDebugString());
  }

  void bulk() {
    Call call(token_);
    // The gateway compresses responses to compressed requests: for slow networks.
    call.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    GetUsersPresencesPurecloudBulkRequest request;
    request.mutable_ids()->Add(kUsers.begin(), kUsers.end());
    request.add_ids("nobody");
    GetUsersPresencesPurecloudBulkResponse answer;
    check(presence_->GetUsersPresencesPurecloudBulk(&call, request, &answer));
    check(answer.presences_size() == 100 && answer.missing_ids_size() == 1 && answer.missing_ids(0) == "nobody",
          answer.ShortDebugString());
  }

  // One of the two batches fails; the response still has the presences of the other.
  void partial_results() {
    Call call(token_ + "-partial", milliseconds(30'000));
    GetUsersPresencesPurecloudBulkRequest request;
    request.mutable_ids()->Add(kUsers.begin(), kUsers.end());
    request.set_allow_partial_results(true);
    GetUsersPresencesPurecloudBulkResponse answer;
    check(presence_->GetUsersPresencesPurecloudBulk(&call, request, &answer));
    check(answer.presences_size() == 50 && answer.failures_size() == 1 && answer.failures(0).ids_size() == 50,
          answer.ShortDebugString());
    // Each failure is a google.rpc.Status with the details of an error.
    check(answer.failures(0).status().code() == StatusCode::INTERNAL, answer.failures(0).ShortDebugString());
  }

  void deadline() {
    UserPresence answer;
    failed_with(get(kUsers[0], token_ + "-slow", milliseconds(300), &answer), StatusCode::DEADLINE_EXCEEDED);
  }

  void errors() {
    UserPresence answer;
    const auto info = detail<google::rpc::ErrorInfo>(get("nobody", token_, milliseconds(5000), &answer));
    check(info.domain() == "genesys.cloud" && info.reason() == "NOT_FOUND", info.ShortDebugString());

    const auto wrong = detail<google::rpc::BadRequest>(get("..", token_, milliseconds(5000), &answer));
    check(wrong.field_violations(0).field() == "user_id", wrong.ShortDebugString());

    // The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
    // gateway fails the call at once, with the delay in the error.
    const Status limited = get(kUsers[0], token_ + "-limited", milliseconds(5000), &answer);
    failed_with(limited, StatusCode::RESOURCE_EXHAUSTED);
    const auto delay = detail<google::rpc::RetryInfo>(limited).retry_delay().seconds();
    check(delay >= 25 && delay <= 30, "come back in " + std::to_string(delay) + " s");
  }

  void retries() {
    UserPresence answer;
    // The vendor is unavailable for three requests, as many as the gateway sends for one call.
    check(get(kUsers[0], token_ + "-unavailable", milliseconds(10'000), &answer));

    // A PATCH is never retried automatically, although a second one would succeed.
    Call call(token_ + "-unavailable", milliseconds(10'000));
    PatchUserPresencesPurecloudRequest request;
    request.set_user_id(kUsers[0]);
    request.mutable_body()->set_message("lunch");
    failed_with(presence_->PatchUserPresencesPurecloud(&call, request, &answer), StatusCode::UNAVAILABLE);
  }

  // Any number of ids in constant memory: flow control follows the vendor's pace.
  void streamed_bulk() {
    // No deadline: the duration of a stream depends on the number of ids.
    Call call(token_);
    const auto stream = presence_stream_->StreamUsersPresencesPurecloudBulk(&call);
    std::thread writer([&stream] {
      auto ids = kUsers;
      for (int n = 0; n < 20; ++n) ids.push_back("nobody-" + std::to_string(n));
      for (auto first = ids.begin(); first != ids.end(); first += 30) {
        StreamUsersPresencesPurecloudBulkRequest request;
        request.mutable_ids()->Add(first, first + 30);
        // False if the stream has ended; Finish returns the status.
        if (!stream->Write(request)) return;
      }
      stream->WritesDone();
    });
    int read = 0, missing = 0;
    StreamUsersPresencesPurecloudBulkResponse answer;
    StreamProgress progress;
    while (stream->Read(&answer)) {
      read += answer.presences_size();
      missing += answer.missing_ids_size();
      progress = answer.progress();
    }
    writer.join();
    check(stream->Finish());
    check(read == 100 && missing == 20, std::to_string(read) + " read, " + std::to_string(missing) + " missing");
    check(progress.received() == 120 && progress.done() == 100, progress.ShortDebugString());
  }

 private:
  Status get(const std::string& user, const std::string& token, milliseconds limit, UserPresence* answer) {
    Call call(token, limit);
    GetUserPresencesPurecloudRequest request;
    request.set_user_id(user);
    return presence_->GetUserPresencesPurecloud(&call, request, answer);
  }

  std::unique_ptr<PresenceService::Stub> presence_;
  std::unique_ptr<PresenceStreamService::Stub> presence_stream_;
  std::string token_;
};

int main(int count, char** arguments) {
  Client client(connect(arguments[1], count > 2 ? arguments[2] : nullptr), "cpp");
  client.unary();
  client.bulk();
  client.partial_results();
  client.deadline();
  client.errors();
  client.retries();
  std::cout << "all unary calls: ok" << std::endl;
  client.streamed_bulk();
  std::cout << "streamed bulk: ok" << std::endl;
}
