package org.example.presence;

import com.genesys.presence.v1.*;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.*;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Calls the gateway for one user. Share one channel among the clients of a process. */
public final class PresenceClient {
    private final PresenceServiceGrpc.PresenceServiceBlockingStub presence;
    private final PresenceStreamServiceGrpc.PresenceStreamServiceStub presenceStream;

    public PresenceClient(Channel channel, String token) {
        CallCredentials bearer = new BearerToken(token);
        presence = PresenceServiceGrpc.newBlockingStub(channel).withCallCredentials(bearer);
        presenceStream = PresenceStreamServiceGrpc.newStub(channel).withCallCredentials(bearer);
    }

    /**
     * Opens a channel. Keep one per process: it carries all calls, and reconnects by itself. It has
     * TLS, but to this machine or where {@code http://} asks for it: without TLS, everyone on the way
     * can read the token.
     */
    public static ManagedChannel connect(String address, File caFile) throws IOException {
        String host = address.replaceFirst("^https?://", "");
        boolean isLocal = address.matches("(localhost|127(\\.\\d+){3}|\\[::1\\])(:\\d+)?");
        ChannelCredentials credentials;
        if (caFile != null) {
            credentials = TlsChannelCredentials.newBuilder().trustManager(caFile).build();
        } else if (isLocal || address.startsWith("http://")) {
            credentials = InsecureChannelCredentials.create();
        } else {
            credentials = TlsChannelCredentials.create(); // Trusts the public authorities.
        }
        return Grpc.newChannelBuilder(host, credentials)
                // For each RPC: whether grpc-java repeats it after UNAVAILABLE, and its longest timeout.
                .defaultServiceConfig(serviceConfig())
                .enableRetry()
                // The response to 5000 ids has about 2 MB. By default, a client accepts 4 MiB.
                .maxInboundMessageSize(8 * 1024 * 1024)
                .keepAliveTime(1, TimeUnit.MINUTES)
                .build();
    }

    private static Map<String, ?> serviceConfig() throws IOException {
        try (var file = PresenceClient.class.getResourceAsStream("/service-config.json")) {
            Objects.requireNonNull(file, "service-config.json is not on the class path");
            return new Gson().fromJson(
                    new InputStreamReader(file, StandardCharsets.UTF_8), new TypeToken<Map<String, ?>>() {}.getType());
        }
    }

    /** The Genesys Cloud token of the user for whom a call is made. */
    private static final class BearerToken extends CallCredentials {
        private static final Metadata.Key<String> AUTHORIZATION =
                Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
        private final Metadata metadata = new Metadata();

        BearerToken(String token) {
            metadata.put(AUTHORIZATION, "Bearer " + token);
        }

        @Override
        public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
            applier.apply(metadata);
        }

        @Override
        public void thisUsesUnstableApi() {}
    }

    private PresenceServiceGrpc.PresenceServiceBlockingStub within(Duration timeout) {
        // The gateway gets the deadline with the call, and heeds it.
        return presence.withDeadlineAfter(timeout.toMillis(), TimeUnit.MILLISECONDS);
    }

    public UserPresence readOne(String user, Duration timeout) {
        return within(timeout).getUserPresencesPurecloud(
                GetUserPresencesPurecloudRequest.newBuilder().setUserId(user).build());
    }

    /**
     * Reads up to 5000 users. 50 users cost one request of the token's rate limit. With partial
     * results, the call succeeds although batches failed: {@code failures} has their users.
     */
    public GetUsersPresencesPurecloudBulkResponse readMany(List<String> users) {
        // Without a deadline, the timeout of the service config holds. To a compressed request,
        // the gateway returns a compressed response: for slow networks.
        return presence.withCompression("gzip").getUsersPresencesPurecloudBulk(
                GetUsersPresencesPurecloudBulkRequest.newBuilder()
                        .addAllIds(users).setAllowPartialResults(true).build());
    }

    /** Reads any number of users in constant memory: the gateway sets the pace. */
    public void readStream(List<String> users, Consumer<StreamUsersPresencesPurecloudBulkResponse> take) {
        var ended = new CompletableFuture<Void>();
        // No deadline: the duration depends on the number of ids.
        presenceStream.streamUsersPresencesPurecloudBulk(new ClientResponseObserver<
                StreamUsersPresencesPurecloudBulkRequest, StreamUsersPresencesPurecloudBulkResponse>() {
            private int sent;
            private boolean completed;

            @Override
            public void beforeStart(ClientCallStreamObserver<StreamUsersPresencesPurecloudBulkRequest> requests) {
                requests.setOnReadyHandler(() -> send(requests));
            }

            private void send(ClientCallStreamObserver<StreamUsersPresencesPurecloudBulkRequest> requests) {
                while (requests.isReady() && sent < users.size()) {
                    int last = Math.min(sent + 50, users.size());
                    requests.onNext(StreamUsersPresencesPurecloudBulkRequest.newBuilder()
                            .addAllIds(users.subList(sent, last)).build());
                    sent = last;
                }
                if (sent == users.size() && !completed) {
                    completed = true;
                    requests.onCompleted();
                }
            }

            @Override
            public void onNext(StreamUsersPresencesPurecloudBulkResponse answer) {
                take.accept(answer);
            }

            @Override
            public void onError(Throwable error) {
                ended.completeExceptionally(error);
            }

            @Override
            public void onCompleted() {
                ended.complete(null);
            }
        });
        try {
            ended.join();
        } catch (CompletionException error) {
            throw error.getCause() instanceof StatusRuntimeException status ? status : error;
        }
    }

    /** Returns a status, for example "Meal", by its label in any language. */
    public PresenceDefinition definition(String label) {
        var request = GetPresenceDefinitionsRequest.newBuilder().setLocaleCode("ALL").build();
        return within(Duration.ofSeconds(10)).getPresenceDefinitions(request).getEntitiesList().stream()
                .filter(each -> each.getLanguageLabelsMap().containsValue(label))
                .map(each -> PresenceDefinition.newBuilder().setId(each.getId()).build())
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no presence definition has the label " + label));
    }

    /** Sets the status of a user. A null message stays as it is; an empty one is erased. */
    public UserPresence writeOne(String user, PresenceDefinition definition, String message) {
        var body = UserPresence.newBuilder().setPresenceDefinition(definition);
        if (message != null) {
            body.setMessage(message);
        }
        return within(Duration.ofSeconds(10)).patchUserPresencesPurecloud(
                PatchUserPresencesPurecloudRequest.newBuilder().setUserId(user).setBody(body).build());
    }

    /**
     * The users of a bulk write by what became of their updates. Send {@code notTried} again, and
     * {@code failed} when the cause is gone. Read {@code unknown} first. No cause: all were applied.
     */
    public record Outcomes(List<String> applied, List<String> failed, List<String> unknown, List<String> notTried,
            Optional<StatusRuntimeException> cause) {}

    /** Sets the status of up to 5000 users, and returns what became of each. */
    public Outcomes writeMany(List<String> users, PresenceDefinition definition) {
        var request = PutUsersPresencesBulkRequest.newBuilder();
        users.forEach(user -> request.addBodyBuilder().setId(user).setPresenceDefinition(definition));
        try {
            within(Duration.ofMinutes(1)).putUsersPresencesBulk(request.build());
            return new Outcomes(users, List.of(), List.of(), List.of(), Optional.empty());
        } catch (StatusRuntimeException error) {
            // Some updates may have been applied, whatever the code is. The report has their positions.
            BulkWriteReport report = detail(error, BulkWriteReport.class).orElseThrow(() -> error);
            return new Outcomes(
                    named(users, report.getAppliedList()), named(users, report.getFailedList()),
                    named(users, report.getUnknownList()), named(users, report.getNotTriedList()),
                    Optional.of(error));
        }
    }

    private static List<String> named(List<String> users, List<IndexRange> spans) {
        return spans.stream()
                .flatMap(span -> users.subList((int) span.getFirst(), (int) span.getLast() + 1).stream())
                .toList();
    }

    /** Returns the detail of an error that has this type. An error that the library made has none. */
    public static <T extends Message> Optional<T> detail(StatusRuntimeException error, Class<T> type) {
        com.google.rpc.Status status = StatusProto.fromThrowable(error);
        try {
            for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
                if (detail.is(type)) {
                    return Optional.of(detail.unpack(type));
                }
            }
        } catch (InvalidProtocolBufferException unreadable) {
            error.addSuppressed(unreadable);
        }
        return Optional.empty();
    }

    /**
     * Describes an error. In code, decide by code, domain and reason; never by the message. Log also
     * the RequestInfo: Genesys Cloud's id of the request, for its support.
     */
    public static String explain(StatusRuntimeException error) {
        var parts = new ArrayList<String>();
        parts.add(error.getStatus().getCode().name());
        detail(error, ErrorInfo.class).ifPresent(info -> parts.add(info.getDomain() + " " + info.getReason()));
        detail(error, RetryInfo.class).map(RetryInfo::getRetryDelay).ifPresent(delay -> parts.add(
                String.format(Locale.ROOT, "retry in %.1f s", delay.getSeconds() + delay.getNanos() / 1e9)));
        String message = detail(error, BadRequest.class)
                .map(badRequest -> badRequest.getFieldViolationsList().stream()
                        .map(violation -> violation.getField() + " " + violation.getDescription())
                        .collect(Collectors.joining(", ")))
                .orElseGet(() -> error.getStatus().getDescription() + causesOf(error));
        return String.join(", ", parts) + ": " + message;
    }

    private static String causesOf(StatusRuntimeException error) {
        return Stream.iterate(error.getCause(), Objects::nonNull, Throwable::getCause)
                .map(cause -> ": " + cause.getMessage())
                .collect(Collectors.joining());
    }
}
