// A client of the presence gateway with grpc++.

#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/error_details.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "genesys/presence/v1/presence_service.grpc.pb.h"
#include "genesys/presence/v1/presence_stream_service.grpc.pb.h"
#include "google/rpc/status.pb.h"

namespace presence {

namespace v1 = genesys::presence::v1;
using Users = std::vector<std::string>;

// A call that failed. In code, decide by code, domain and reason; never by the message.
class CallError : public std::runtime_error {
 public:
  // Throws if a call failed.
  static void Check(const grpc::Status& status) {
    if (!status.ok()) throw CallError(status);
  }

  explicit CallError(const grpc::Status& status);
  // That of a group in `failures`.
  explicit CallError(const google::rpc::Status& failure);

  grpc::StatusCode code() const { return status_.error_code(); }

  // The detail of this type, if there is one. An error that the library made has none.
  template <typename Detail>
  static std::optional<Detail> DetailOf(const grpc::Status& status) {
    google::rpc::Status decoded;
    if (!grpc::ExtractErrorDetails(status, &decoded).ok()) return std::nullopt;
    for (const auto& packed : decoded.details()) {
      if (Detail detail; packed.UnpackTo(&detail)) return detail;
    }
    return std::nullopt;
  }

 private:
  grpc::Status status_;
};

// The users of a bulk write by what became of their updates. Send `not_tried` again, and `failed`
// when the cause is gone. Read `unknown` first. No cause: all were applied.
struct Outcomes {
  Users applied, failed, unknown, not_tried;
  std::optional<CallError> cause;
};

// Opens a channel. Keep one per process: it carries all calls, and reconnects by itself. It has TLS,
// but to this machine or where `http://` asks for it: without TLS, everyone on the way can read the token.
std::shared_ptr<grpc::Channel> Connect(const std::string& address, const std::optional<std::string>& ca_file);

// Calls the gateway for one user. Each call throws CallError if it fails.
class Client {
 public:
  Client(const std::shared_ptr<grpc::Channel>& channel, std::string token);

  v1::UserPresence ReadOne(const std::string& user, std::chrono::milliseconds timeout);

  // Reads up to 5000 users. 50 users cost one request of the token's rate limit. With partial
  // results, the call succeeds although batches failed: `failures` has their users.
  v1::GetUsersPresencesPurecloudBulkResponse ReadMany(const Users& users);

  // Reads any number of users in constant memory: the gateway sets the pace.
  using Take = std::function<void(const v1::StreamUsersPresencesPurecloudBulkResponse&)>;
  void ReadStream(const Users& users, const Take& take);

  // Returns a status, for example "Meal", by its label in any language.
  v1::PresenceDefinition Definition(const std::string& label);

  // Sets the status of a user. Without a message, the message stays as it is; an empty one erases it.
  v1::UserPresence WriteOne(const std::string& user, const v1::PresenceDefinition& definition,
                            const std::optional<std::string>& message = std::nullopt);

  // Sets the status of up to 5000 users, and returns what became of each.
  Outcomes WriteMany(const Users& users, const v1::PresenceDefinition& definition);

 private:
  std::unique_ptr<v1::PresenceService::Stub> presence_;
  std::unique_ptr<v1::PresenceStreamService::Stub> presence_stream_;
  std::string token_;
};

}  // namespace presence
