// Calls the presence gateway with grpc++. README.md shows how to run it.
//
//     example [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN

#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "presence_client.h"

namespace {

using namespace std::chrono_literals;

// The users of the sandbox.
presence::Users SandboxUsers() {
  presence::Users users;
  for (int n = 1; n <= 100; ++n) {
    std::ostringstream id;
    id << "00000000-0000-4000-8000-" << std::setw(12) << std::setfill('0') << n;
    users.push_back(id.str());
  }
  return users;
}

// Prints the causes of partial results. In code, decide by each status as by that of a call.
template <typename Failures>
void PrintFailures(const char* step, const Failures& failures) {
  for (const auto& failure : failures) {
    std::cout << step << ": " << failure.ids_size() << " failed: " << presence::CallError(failure.status()).what()
              << std::endl;
  }
}

void Run(presence::Client& client) {
  const auto users = SandboxUsers();

  const auto read = client.ReadOne(users[0], 10s);
  std::cout << "read: " << read.presence_definition().system_presence() << std::endl;

  const auto bulk = client.ReadMany(users);
  int failed = 0;
  for (const auto& failure : bulk.failures()) failed += failure.ids_size();
  std::cout << "bulk: " << bulk.presences_size() << " read, " << bulk.missing_ids_size() << " missing, " << failed
            << " failed" << std::endl;
  PrintFailures("bulk", bulk.failures());

  auto ids = users;
  ids.push_back("nobody");
  presence::v1::StreamProgress progress;
  client.ReadStream(ids, [&progress](const auto& answer) {
    progress = answer.progress();
    PrintFailures("stream", answer.failures());
  });
  std::cout << "stream: " << progress.done() << " read, " << progress.missing() << " missing, " << progress.failed()
            << " failed" << std::endl;

  const auto written = client.WriteOne(users[1], client.Definition("Meal"), "back at one");
  std::cout << "write: " << written.presence_definition().system_presence() << ", " << written.message() << std::endl;
  const auto outcomes = client.WriteMany(users, client.Definition("Available"));
  std::cout << "bulk write: " << outcomes.applied.size() << " applied, " << outcomes.failed.size() << " failed, "
            << outcomes.unknown.size() << " unknown, " << outcomes.not_tried.size() << " not_tried" << std::endl;
  if (outcomes.cause) std::cout << "bulk write: " << outcomes.cause->what() << std::endl;

  for (const auto* user : {"nobody", ".."}) {
    try {
      client.ReadOne(user, 10s);
    } catch (const presence::CallError& error) {
      std::cout << "error: " << error.what() << std::endl;
    }
  }

  // After UNAVAILABLE, grpc++ repeats a read by itself, at most twice and within the timeout, as
  // the service config says; it never repeats the two writes above.
  const auto retried = client.ReadOne(users[2], 20s);
  std::cout << "retry: " << retried.presence_definition().system_presence() << std::endl;

  try {
    const auto in_time = client.ReadOne(users[3], 3s);
    std::cout << "deadline: " << in_time.presence_definition().system_presence() << std::endl;
  } catch (const presence::CallError& error) {
    if (error.code() != grpc::StatusCode::DEADLINE_EXCEEDED) throw;
    std::cout << "deadline: exceeded" << std::endl;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string address = count > 1 ? arguments[1] : "127.0.0.1:50051";
  const auto ca_file = count > 2 ? std::optional<std::string>(arguments[2]) : std::nullopt;
  const char* token = std::getenv("PRESENCE_GATEWAY_TOKEN");
  try {
    presence::Client client(presence::Connect(address, ca_file), token != nullptr ? token : "any");
    Run(client);
  } catch (const std::exception& error) {
    std::cerr << "failed: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
