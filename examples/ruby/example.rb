# frozen_string_literal: true

# Calls the presence gateway with grpc. README.md shows how to run it.
#
#     ruby example.rb [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN

$LOAD_PATH.unshift File.join(__dir__, 'gen')

require 'grpc'
require 'google/protobuf/well_known_types' # Any#unpack
require 'google/rpc/error_details_pb'
require 'genesys/presence/v1/presence_service_services_pb'
require 'genesys/presence/v1/presence_stream_service_services_pb'

# Calls the gateway for one user. Share one channel among the clients of a process.
class PresenceClient
  V1 = Genesys::Presence::V1
  # The users of a bulk write by what became of their updates. Send not_tried
  # again, and failed when the cause is gone. Read unknown first.
  Outcomes = Struct.new(:applied, :failed, :unknown, :not_tried, keyword_init: true)
  # Why updates were not applied: nil, or a GatewayError.
  Written = Struct.new(:outcomes, :cause)

  # Opens a channel. Keep one per process: it carries all calls, and reconnects by
  # itself. It has TLS, but to this machine or where http:// asks for it: without
  # TLS, everyone on the way can read the token.
  def self.connect(address, ca_file: nil)
    host = address.sub(%r{\Ahttps?://}, '')
    local = address.match?(/\A(localhost|127(\.\d+){3}|\[::1\])(:\d+)?\z/)
    plaintext = ca_file.nil? && (local || address.start_with?('http://'))
    # Without a file, ChannelCredentials trusts the public authorities.
    credentials = GRPC::Core::ChannelCredentials.new(*(ca_file && File.read(ca_file))) unless plaintext
    GRPC::ClientStub.setup_channel(nil, host, credentials || :this_channel_is_insecure, channel_args)
  end

  def self.channel_args
    {
      # For each RPC: whether grpc repeats it after UNAVAILABLE, and its longest timeout.
      'grpc.service_config' => File.read(File.join(__dir__, 'gen/service-config.json')),
      # The response to 5000 ids has about 2 MB. By default, a client accepts 4 MiB.
      'grpc.max_receive_message_length' => 8 * 1024 * 1024,
      'grpc.keepalive_time_ms' => 60_000
    }
  end
  private_class_method :channel_args

  def initialize(channel, token:)
    # The channel has the credentials.
    @presence, @presence_stream = [V1::PresenceService, V1::PresenceStreamService].map do |service|
      service::Stub.new(channel.target, nil, channel_override: channel)
    end
    @token = token
  end

  def read_one(user, timeout: 10)
    request = V1::GetUserPresencesPurecloudRequest.new(user_id: user)
    @presence.get_user_presences_purecloud(request, **options(timeout: timeout))
  end

  # Reads up to 5000 users. 50 users cost one request of the token's rate limit.
  # With partial results, the call succeeds although batches failed: `failures`
  # has their users.
  def read_many(users)
    request = V1::GetUsersPresencesPurecloudBulkRequest.new(ids: users, allow_partial_results: true)
    # Without a timeout, that of the service config holds.
    @presence.get_users_presences_purecloud_bulk(request, **options)
  end

  # Reads any number of users in constant memory: the gateway sets the pace.
  # Yields the responses.
  def read_stream(users, &block)
    requests = users.each_slice(50).lazy.map { |ids| V1::StreamUsersPresencesPurecloudBulkRequest.new(ids: ids) }
    # No timeout: the duration depends on the number of ids.
    @presence_stream.stream_users_presences_purecloud_bulk(requests, **options).each(&block)
  end

  # Returns a status, for example "Meal", by its label in any language.
  def definition(label)
    request = V1::GetPresenceDefinitionsRequest.new(locale_code: 'ALL')
    listing = @presence.get_presence_definitions(request, **options(timeout: 10))
    found = listing.entities.find { |each| each.language_labels.to_h.value?(label) }
    found ? V1::PresenceDefinition.new(id: found.id) : raise(KeyError, "no presence definition has the label #{label}")
  end

  # Sets the status of a user. Without a message, the message stays as it is;
  # an empty one erases it.
  def write_one(user, definition, message: nil)
    body = V1::UserPresence.new({ presence_definition: definition, message: message }.compact)
    request = V1::PatchUserPresencesPurecloudRequest.new(user_id: user, body: body)
    @presence.patch_user_presences_purecloud(request, **options(timeout: 10))
  end

  # Sets the status of up to 5000 users, and returns what became of each.
  def write_many(users, definition)
    updates = users.map { |user| V1::MutableUserPresence.new(id: user, presence_definition: definition) }
    @presence.put_users_presences_bulk(V1::PutUsersPresencesBulkRequest.new(body: updates), **options(timeout: 60))
    Written.new(Outcomes.new(applied: users, failed: [], unknown: [], not_tried: []))
  rescue GRPC::BadStatus => e
    # Some updates may have been applied, whatever the code is. The report has their positions.
    cause = GatewayError.new(e)
    report = cause.detail(V1::BulkWriteReport) or raise
    outcomes = Outcomes.members.to_h do |outcome|
      [outcome, report[outcome.to_s].flat_map { |span| users[span.first..span.last] }]
    end
    Written.new(Outcomes.new(**outcomes), cause)
  end

  private

  # The options of a call: the Genesys Cloud token of the user for whom it is
  # made, and its deadline.
  def options(timeout: nil)
    { metadata: { 'authorization' => "Bearer #{@token}" }, deadline: timeout && (Time.now + timeout) }
  end
end

# An error of a call, or of a group in `failures`, with its details.
class GatewayError
  CODES = GRPC::Core::StatusCodes.constants.to_h { |name| [GRPC::Core::StatusCodes.const_get(name), name] }

  # Takes what a call raised, or the status of a failure.
  def initialize(error)
    # nil for an error that the library made, for example because it cannot connect.
    status = error.is_a?(GRPC::BadStatus) ? error.to_rpc_status : error
    @code, @message = status ? [status.code, status.message] : [error.code, error.details]
    @details = status&.details.to_a
  end

  # Returns the detail of this type, if there is one.
  def detail(type)
    @details.filter_map { |each| each.unpack(type) }.first
  end

  # Describes the error. In code, decide by code, domain and reason; never by the message.
  # Log also the RequestInfo: Genesys Cloud's id of the request, for its support.
  def to_s
    info = detail(Google::Rpc::ErrorInfo)
    violations = detail(Google::Rpc::BadRequest)&.field_violations.to_a
    retry_info = detail(Google::Rpc::RetryInfo)
    parts = [
      CODES[@code],
      *(info && "#{info.domain} #{info.reason}"),
      *(retry_info && format('retry in %.1f s', retry_info.retry_delay.to_f))
    ]
    described = violations.map { |violation| "#{violation.field} #{violation.description}" }
    "#{parts.join(', ')}: #{described.empty? ? @message : described.join(', ')}"
  end
end

# Prints the causes of partial results. In code, decide by each status as by that of a call.
def print_failures(step, failures)
  failures.each { |failure| puts "#{step}: #{failure.ids.size} failed: #{GatewayError.new(failure.status)}" }
end

def run(client)
  users = (1..100).map { |n| format('00000000-0000-4000-8000-%012d', n) } # those of the sandbox

  puts "read: #{client.read_one(users[0]).presence_definition.system_presence}"

  bulk = client.read_many(users)
  failed = bulk.failures.flat_map { |failure| failure.ids.to_a }
  puts "bulk: #{bulk.presences.size} read, #{bulk.missing_ids.size} missing, #{failed.size} failed"
  print_failures('bulk', bulk.failures)

  progress = nil
  client.read_stream([*users, 'nobody']) do |answer|
    progress = answer.progress
    print_failures('stream', answer.failures)
  end
  puts "stream: #{progress.done} read, #{progress.missing} missing, #{progress.failed} failed"

  written = client.write_one(users[1], client.definition('Meal'), message: 'back at one')
  puts "write: #{written.presence_definition.system_presence}, #{written.message}"
  outcomes, cause = *client.write_many(users, client.definition('Available'))
  puts "bulk write: #{outcomes.each_pair.map { |outcome, named| "#{named.size} #{outcome}" }.join(', ')}"
  puts "bulk write: #{cause}" if cause

  ['nobody', '..'].each do |user|
    client.read_one(user)
  rescue GRPC::BadStatus => e
    puts "error: #{GatewayError.new(e)}"
  end

  # After UNAVAILABLE, grpc repeats a read by itself, at most twice and within the timeout, as
  # the service config says; it never repeats the two writes above.
  puts "retry: #{client.read_one(users[2], timeout: 20).presence_definition.system_presence}"

  begin
    puts "deadline: #{client.read_one(users[3], timeout: 3).presence_definition.system_presence}"
  rescue GRPC::DeadlineExceeded
    puts 'deadline: exceeded'
  end
end

address, ca_file = ARGV
begin
  token = ENV.fetch('PRESENCE_GATEWAY_TOKEN', 'any')
  channel = PresenceClient.connect(address || '127.0.0.1:50051', ca_file: ca_file)
  run PresenceClient.new(channel, token: token)
rescue GRPC::BadStatus => e
  abort "failed: #{GatewayError.new(e)}"
ensure
  channel&.close
end
