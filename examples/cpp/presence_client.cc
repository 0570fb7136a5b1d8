#include "presence_client.h"

#include <algorithm>
#include <fstream>
#include <future>
#include <iomanip>
#include <iterator>
#include <regex>
#include <sstream>
#include <utility>

#include "google/rpc/error_details.pb.h"
#include "service_config.h"

namespace presence {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The context of one call: the Genesys Cloud token of the user for whom it is made, and its
// deadline, which the gateway gets with the call, and heeds.
class Call : public grpc::ClientContext {
 public:
  explicit Call(const std::string& token, std::optional<milliseconds> timeout = std::nullopt) {
    AddMetadata("authorization", "Bearer " + token);
    if (timeout) set_deadline(std::chrono::system_clock::now() + *timeout);
  }
};

// Ends a call at the end of a scope, also when an exception leaves it.
class Canceller {
 public:
  explicit Canceller(grpc::ClientContext& call) : call_(call) {}
  ~Canceller() { call_.TryCancel(); }
  Canceller(const Canceller&) = delete;
  Canceller& operator=(const Canceller&) = delete;

 private:
  grpc::ClientContext& call_;
};

std::string NameOf(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
      "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
      "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "code " + std::to_string(index);
}

// Log also the RequestInfo: Genesys Cloud's id of the request, for its support.
std::string Explain(const grpc::Status& status) {
  std::string text = NameOf(status.error_code());
  if (const auto info = CallError::DetailOf<google::rpc::ErrorInfo>(status)) {
    text += ", " + info->domain() + " " + info->reason();
  }
  if (const auto retry_info = CallError::DetailOf<google::rpc::RetryInfo>(status)) {
    std::ostringstream delay;
    delay << std::fixed << std::setprecision(1)
          << static_cast<double>(retry_info->retry_delay().seconds()) + retry_info->retry_delay().nanos() / 1e9;
    text += ", retry in " + delay.str() + " s";
  }
  const auto bad_request = CallError::DetailOf<google::rpc::BadRequest>(status);
  if (!bad_request) return text + ": " + status.error_message();
  std::string separator = ": ";
  for (const auto& violation : bad_request->field_violations()) {
    text += std::exchange(separator, ", ") + violation.field() + " " + violation.description();
  }
  return text;
}

}  // namespace

CallError::CallError(const grpc::Status& status) : std::runtime_error(Explain(status)), status_(status) {}

CallError::CallError(const google::rpc::Status& failure)
    : CallError(grpc::Status(static_cast<grpc::StatusCode>(failure.code()), failure.message(),
                             failure.SerializeAsString())) {}

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const std::optional<std::string>& ca_file) {
  grpc::ChannelArguments arguments;
  // For each RPC: whether grpc++ repeats it after UNAVAILABLE, and its longest timeout.
  arguments.SetServiceConfigJSON(kServiceConfig);
  // The response to 5000 ids has about 2 MB. By default, a client accepts 4 MiB.
  arguments.SetMaxReceiveMessageSize(8 * 1024 * 1024);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  static const std::regex kLocal(R"((localhost|127(\.\d+){3}|\[::1\])(:\d+)?)");
  const auto host = std::regex_replace(address, std::regex("^https?://"), "");
  if (!ca_file && (std::regex_match(address, kLocal) || address.rfind("http://", 0) == 0)) {
    return grpc::CreateCustomChannel(host, grpc::InsecureChannelCredentials(), arguments);
  }
  // Without pem_root_certs, it trusts the public authorities.
  grpc::SslCredentialsOptions options;
  if (ca_file) options.pem_root_certs = ReadFile(*ca_file);
  return grpc::CreateCustomChannel(host, grpc::SslCredentials(options), arguments);
}

Client::Client(const std::shared_ptr<grpc::Channel>& channel, std::string token)
    : presence_(v1::PresenceService::NewStub(channel)),
      presence_stream_(v1::PresenceStreamService::NewStub(channel)),
      token_(std::move(token)) {}

v1::UserPresence Client::ReadOne(const std::string& user, milliseconds timeout) {
  Call call(token_, timeout);
  v1::GetUserPresencesPurecloudRequest request;
  request.set_user_id(user);
  v1::UserPresence answer;
  CallError::Check(presence_->GetUserPresencesPurecloud(&call, request, &answer));
  return answer;
}

v1::GetUsersPresencesPurecloudBulkResponse Client::ReadMany(const Users& users) {
  // Without a deadline, the timeout of the service config holds.
  Call call(token_);
  // To a compressed request, the gateway returns a compressed response: for slow networks.
  call.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GetUsersPresencesPurecloudBulkRequest request;
  request.mutable_ids()->Add(users.begin(), users.end());
  request.set_allow_partial_results(true);
  v1::GetUsersPresencesPurecloudBulkResponse answer;
  CallError::Check(presence_->GetUsersPresencesPurecloudBulk(&call, request, &answer));
  return answer;
}

void Client::ReadStream(const Users& users, const Take& take) {
  // No deadline: the duration depends on the number of ids.
  Call call(token_);
  const auto stream = presence_stream_->StreamUsersPresencesPurecloudBulk(&call);
  const auto writer = std::async(std::launch::async, [&stream, &users] {
    for (std::size_t first = 0; first < users.size(); first += 50) {
      const auto last = std::min(first + 50, users.size());
      v1::StreamUsersPresencesPurecloudBulkRequest request;
      request.mutable_ids()->Add(users.begin() + first, users.begin() + last);
      if (!stream->Write(request)) return;  // The stream has failed: Finish returns why.
    }
    stream->WritesDone();
  });
  const Canceller canceller(call);  // So that the writer ends if `take` throws.
  v1::StreamUsersPresencesPurecloudBulkResponse answer;
  while (stream->Read(&answer)) take(answer);
  writer.wait();
  CallError::Check(stream->Finish());
}

v1::PresenceDefinition Client::Definition(const std::string& label) {
  Call call(token_, seconds(10));
  v1::GetPresenceDefinitionsRequest request;
  request.set_locale_code("ALL");
  v1::OrganizationPresenceDefinitionEntityListing listing;
  CallError::Check(presence_->GetPresenceDefinitions(&call, request, &listing));
  for (const auto& definition : listing.entities()) {
    for (const auto& [locale, name] : definition.language_labels()) {
      if (name != label) continue;
      v1::PresenceDefinition found;
      found.set_id(definition.id());
      return found;
    }
  }
  throw std::invalid_argument("no presence definition has the label " + label);
}

v1::UserPresence Client::WriteOne(const std::string& user, const v1::PresenceDefinition& definition,
                                  const std::optional<std::string>& message) {
  Call call(token_, seconds(10));
  v1::PatchUserPresencesPurecloudRequest request;
  request.set_user_id(user);
  *request.mutable_body()->mutable_presence_definition() = definition;
  if (message) request.mutable_body()->set_message(*message);
  v1::UserPresence answer;
  CallError::Check(presence_->PatchUserPresencesPurecloud(&call, request, &answer));
  return answer;
}

Outcomes Client::WriteMany(const Users& users, const v1::PresenceDefinition& definition) {
  Call call(token_, seconds(60));
  v1::PutUsersPresencesBulkRequest request;
  for (const auto& user : users) {
    auto* update = request.add_body();
    update->set_id(user);
    *update->mutable_presence_definition() = definition;
  }
  v1::PutUsersPresencesBulkResponse answer;
  const auto status = presence_->PutUsersPresencesBulk(&call, request, &answer);
  if (status.ok()) return {users, {}, {}, {}, {}};
  // Some updates may have been applied, whatever the code is. The report has their positions.
  const auto report = CallError::DetailOf<v1::BulkWriteReport>(status);
  if (!report) throw CallError(status);
  const auto named = [&users](const auto& spans) {
    Users named;
    for (const auto& span : spans) {
      named.insert(named.end(), users.begin() + span.first(), users.begin() + span.last() + 1);
    }
    return named;
  };
  return {named(report->applied()), named(report->failed()), named(report->unknown()), named(report->not_tried()),
          CallError(status)};
}

}  // namespace presence
