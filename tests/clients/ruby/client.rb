# frozen_string_literal: true

# A client of the presence gateway in Ruby, with grpc.
#
#     ruby client.rb 127.0.0.1:50051            # without TLS
#     ruby client.rb localhost:50051 ca.pem     # with TLS, trusting this authority
#
# The stubs are generated into gen; see README.md, one directory up.

$LOAD_PATH.unshift File.join(__dir__, 'gen')

require 'grpc'
require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'google/rpc/status_pb'
require 'genesys/presence/v1/presence_service_services_pb'
require 'genesys/presence/v1/presence_stream_service_services_pb'

include Genesys::Presence::V1 # rubocop:disable Style/MixinUsage

USERS = (1..100).map { |n| format('00000000-0000-4000-8000-%012d', n) }
SERVICE_CONFIG = File.join(__dir__, '../../../proto/service-config.json')

# Opens a client; make one for the whole process, and keep it.
def connect(service, address, ca_file)
  credentials = ca_file ? GRPC::Core::ChannelCredentials.new(File.read(ca_file)) : :this_channel_is_insecure
  service.new(address, credentials, channel_args: {
    # The retry policy and the timeout of each method.
    'grpc.service_config' => File.read(SERVICE_CONFIG),
    # The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
    'grpc.max_receive_message_length' => 8 * 1024 * 1024,
    'grpc.keepalive_time_ms' => 60_000
  })
end

# The options of a call: the bearer token of its user, and its deadline.
# Without seconds, the timeout of the service config applies.
def as(token, seconds: nil)
  options = { metadata: { 'authorization' => "Bearer #{token}" } }
  options[:deadline] = Time.now + seconds if seconds
  options
end

# The detail of this type in an error. grpc does not decode the details.
def detail(error, type)
  status = Google::Rpc::Status.decode(error.metadata.fetch('grpc-status-details-bin'))
  status.details.map { |detail| detail.unpack(type) }.compact.first or raise "there is no #{type} in #{status}"
end

def failure_of
  answer = yield
rescue GRPC::BadStatus => error
  error
else
  raise "this should have failed: #{answer}"
end

def same(actual, expected)
  raise "#{actual.inspect} should be #{expected.inspect}" unless actual == expected
end

def unary(presence, token)
  request = GetUserPresencesPurecloudRequest.new(user_id: USERS.first)
  answer = presence.get_user_presences_purecloud(request, **as(token, seconds: 5))
  same answer.presence_definition.system_presence, 'Available'
end

def bulk(presence, token)
  request = GetUsersPresencesPurecloudBulkRequest.new(ids: USERS + ['nobody'])
  answer = presence.get_users_presences_purecloud_bulk(request, **as(token))
  same answer.presences.size, 100
  same answer.missing_ids.to_a, ['nobody']
end

# One of the two batches fails; the response still has the presences of the other.
def partial_results(presence, token)
  request = GetUsersPresencesPurecloudBulkRequest.new(ids: USERS, allow_partial_results: true)
  answer = presence.get_users_presences_purecloud_bulk(request, **as("#{token}-partial", seconds: 30))
  same [answer.presences.size, answer.failures.sum { |failure| failure.ids.size }], [50, 50]
  # Each failure is a google.rpc.Status with the details of an error.
  same answer.failures.first.status.code, GRPC::Core::StatusCodes::INTERNAL
end

def deadline(presence, token)
  request = GetUserPresencesPurecloudRequest.new(user_id: USERS.first)
  error = failure_of { presence.get_user_presences_purecloud(request, **as("#{token}-slow", seconds: 0.3)) }
  same error.class, GRPC::DeadlineExceeded
end

def errors(presence, token)
  get = lambda do |user, token|
    request = GetUserPresencesPurecloudRequest.new(user_id: user)
    failure_of { presence.get_user_presences_purecloud(request, **as(token, seconds: 5)) }
  end

  info = detail(get.call('nobody', token), Google::Rpc::ErrorInfo)
  same [info.domain, info.reason], ['genesys.cloud', 'NOT_FOUND']

  wrong = detail(get.call('..', token), Google::Rpc::BadRequest)
  same wrong.field_violations.map(&:field), ['user_id']

  # The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
  # gateway fails the call at once, with the delay in the error.
  limited = get.call(USERS.first, "#{token}-limited")
  same limited.class, GRPC::ResourceExhausted
  delay = detail(limited, Google::Rpc::RetryInfo).retry_delay.seconds
  same delay.between?(25, 30), true
end

def retries(presence, token)
  # The vendor is unavailable for three requests, as many as the gateway sends for one call.
  request = GetUserPresencesPurecloudRequest.new(user_id: USERS.first)
  presence.get_user_presences_purecloud(request, **as("#{token}-unavailable", seconds: 10))

  # A PATCH is never retried automatically, although a second one would succeed.
  request = PatchUserPresencesPurecloudRequest.new(user_id: USERS.first, body: UserPresence.new(message: 'lunch'))
  error = failure_of { presence.patch_user_presences_purecloud(request, **as("#{token}-unavailable", seconds: 10)) }
  same error.class, GRPC::Unavailable
end

# Any number of ids in constant memory: flow control follows the vendor's pace.
def streamed_bulk(presence_stream, token)
  ids = USERS + (0...20).map { |n| "nobody-#{n}" }
  requests = ids.each_slice(30).lazy.map { |some| StreamUsersPresencesPurecloudBulkRequest.new(ids: some) }
  read = missing = 0
  progress = nil
  # No deadline: the duration of a stream depends on the number of ids.
  presence_stream.stream_users_presences_purecloud_bulk(requests, **as(token)).each do |answer|
    read += answer.presences.size
    missing += answer.missing_ids.size
    progress = answer.progress
  end
  same [read, missing], [100, 20]
  same [progress.received, progress.done], [120, 100]
end

address, ca_file = ARGV
presence = connect(PresenceService::Stub, address, ca_file)
%i[unary bulk partial_results deadline errors retries].each do |step|
  send(step, presence, 'ruby')
  puts "#{step}: ok"
end
streamed_bulk(connect(PresenceStreamService::Stub, address, ca_file), 'ruby')
puts 'streamed_bulk: ok'
