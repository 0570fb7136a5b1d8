// A client of the presence gateway in Java, with grpc-java.
//
//     java Client 127.0.0.1:50051            # without TLS
//     java Client localhost:50051 ca.pem     # with TLS, trusting this authority
//
// The stubs are generated into gen; see README.md, one directory up. With the
// grpc-java of Debian 12 it runs without TLS alone: that netty has no ALPN.

import com.genesys.presence.v1.*;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import com.google.protobuf.Any;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.*;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

public final class Client {
    private static final Path SERVICE_CONFIG = Path.of("../../../proto/service-config.json");
    private static final List<String> USERS = IntStream.rangeClosed(1, 100)
            .mapToObj(n -> String.format("00000000-0000-4000-8000-%012d", n)).collect(Collectors.toList());

    private final PresenceServiceGrpc.PresenceServiceBlockingStub presence;
    private final PresenceStreamServiceGrpc.PresenceStreamServiceStub presenceStream;
    private final String token;

    private Client(Channel channel, String token) {
        this.presence = PresenceServiceGrpc.newBlockingStub(channel);
        this.presenceStream = PresenceStreamServiceGrpc.newStub(channel);
        this.token = token;
    }

    /** Makes a channel; make one for the whole process, and keep it. */
    private static ManagedChannel connect(String address, String caFile) throws Exception {
        ChannelCredentials credentials = caFile == null
                ? InsecureChannelCredentials.create()
                : TlsChannelCredentials.newBuilder().trustManager(new File(caFile)).build();
        // The retry policy and the timeout of each method.
        Map<String, ?> serviceConfig = new Gson().fromJson(
                Files.readString(SERVICE_CONFIG), new TypeToken<Map<String, ?>>() {}.getType());
        return Grpc.newChannelBuilder(address, credentials)
                .defaultServiceConfig(serviceConfig)
                .enableRetry()
                // The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
                .maxInboundMessageSize(8 << 20)
                .keepAliveTime(1, TimeUnit.MINUTES)
                .build();
    }

    /** The bearer token of the user on whose behalf a call is made. */
    private static final class Bearer extends CallCredentials {
        private static final Metadata.Key<String> AUTHORIZATION =
                Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
        private final Metadata metadata = new Metadata();

        Bearer(String token) {
            metadata.put(AUTHORIZATION, "Bearer " + token);
        }

        @Override
        public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
            applier.apply(metadata);
        }

        @Override
        public void thisUsesUnstableApi() {}
    }

    private PresenceServiceGrpc.PresenceServiceBlockingStub as(String token) {
        return presence.withCallCredentials(new Bearer(token));
    }

    private UserPresence get(String user, String token, long milliseconds) {
        return as(token).withDeadlineAfter(milliseconds, TimeUnit.MILLISECONDS)
                .getUserPresencesPurecloud(GetUserPresencesPurecloudRequest.newBuilder().setUserId(user).build());
    }

    private void unary() {
        same(get(USERS.get(0), token, 5000).getPresenceDefinition().getSystemPresence(), "Available");
    }

    private void bulk() {
        // Without a deadline, the timeout of the service config applies. The gateway
        // compresses responses to compressed requests, which pays off over a slow network.
        GetUsersPresencesPurecloudBulkResponse answer = as(token).withCompression("gzip").getUsersPresencesPurecloudBulk(
                GetUsersPresencesPurecloudBulkRequest.newBuilder().addAllIds(USERS).addIds("nobody").build());
        same(answer.getPresencesCount(), 100);
        same(answer.getMissingIdsList(), List.of("nobody"));
    }

    /** One of the two batches fails; the response still has the presences of the other. */
    private void partialResults() {
        GetUsersPresencesPurecloudBulkResponse answer = as(token + "-partial").getUsersPresencesPurecloudBulk(
                GetUsersPresencesPurecloudBulkRequest.newBuilder()
                        .addAllIds(USERS).setAllowPartialResults(true).build());
        same(answer.getPresencesCount(), 50);
        same(answer.getFailures(0).getIdsCount(), 50);
        // Each failure is a google.rpc.Status with the details of an error.
        same(answer.getFailures(0).getStatus().getCode(), Status.Code.INTERNAL.value());
    }

    private void deadline() {
        StatusRuntimeException error = failureOf(() -> get(USERS.get(0), token + "-slow", 300));
        same(error.getStatus().getCode(), Status.Code.DEADLINE_EXCEEDED);
    }

    private void errors() throws Exception {
        ErrorInfo info = detail(failureOf(() -> get("nobody", token, 5000)), ErrorInfo.class);
        same(List.of(info.getDomain(), info.getReason()), List.of("genesys.cloud", "NOT_FOUND"));

        BadRequest wrong = detail(failureOf(() -> get("..", token, 5000)), BadRequest.class);
        same(wrong.getFieldViolations(0).getField(), "user_id");

        // The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
        // gateway fails the call at once, with the delay in the error.
        StatusRuntimeException limited = failureOf(() -> get(USERS.get(0), token + "-limited", 5000));
        same(limited.getStatus().getCode(), Status.Code.RESOURCE_EXHAUSTED);
        long delay = detail(limited, RetryInfo.class).getRetryDelay().getSeconds();
        same(delay >= 25 && delay <= 30, true);
    }

    /** The detail of this type in an error. */
    private static <T extends Message> T detail(StatusRuntimeException error, Class<T> type) throws Exception {
        for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
            if (detail.is(type)) {
                return detail.unpack(type);
            }
        }
        throw new AssertionError("there is no " + type + " in " + error);
    }

    private void retries() {
        // The vendor is unavailable for three requests, as many as the gateway sends for one call.
        get(USERS.get(0), token + "-unavailable", 10_000);

        // A PATCH is never retried automatically, although a second one would succeed.
        StatusRuntimeException error = failureOf(() -> as(token + "-unavailable").patchUserPresencesPurecloud(
                PatchUserPresencesPurecloudRequest.newBuilder().setUserId(USERS.get(0))
                        .setBody(UserPresence.newBuilder().setMessage("lunch")).build()));
        same(error.getStatus().getCode(), Status.Code.UNAVAILABLE);
    }

    /**
     * Any number of ids in constant memory: flow control follows the vendor's pace. With more of them
     * than here, send only while the ClientCallStreamObserver isReady().
     */
    private void streamedBulk() throws Exception {
        CompletableFuture<Void> ended = new CompletableFuture<>();
        List<StreamUsersPresencesPurecloudBulkResponse> answers = new ArrayList<>();
        // No deadline: the duration of a stream depends on the number of ids.
        StreamObserver<StreamUsersPresencesPurecloudBulkRequest> requests = presenceStream
                .withCallCredentials(new Bearer(token))
                .streamUsersPresencesPurecloudBulk(new StreamObserver<>() {
                    @Override
                    public void onNext(StreamUsersPresencesPurecloudBulkResponse answer) {
                        answers.add(answer);
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
        List<String> ids = new ArrayList<>(USERS);
        IntStream.range(0, 20).forEach(n -> ids.add("nobody-" + n));
        for (int first = 0; first < ids.size(); first += 30) {
            requests.onNext(StreamUsersPresencesPurecloudBulkRequest.newBuilder()
                    .addAllIds(ids.subList(first, first + 30)).build());
        }
        requests.onCompleted();
        ended.get();

        int read = answers.stream().mapToInt(answer -> answer.getPresencesCount()).sum();
        int missing = answers.stream().mapToInt(answer -> answer.getMissingIdsCount()).sum();
        same(List.of(read, missing), List.of(100, 20));
        StreamProgress progress = answers.get(answers.size() - 1).getProgress();
        same(List.of(progress.getReceived(), progress.getDone()), List.of(120L, 100L));
    }

    private static StatusRuntimeException failureOf(Runnable call) {
        try {
            call.run();
        } catch (StatusRuntimeException error) {
            return error;
        }
        throw new AssertionError("this should have failed");
    }

    private static void same(Object actual, Object expected) {
        if (!expected.equals(actual)) {
            throw new AssertionError(actual + " should be " + expected);
        }
    }

    public static void main(String[] arguments) throws Exception {
        ManagedChannel channel = connect(arguments[0], arguments.length > 1 ? arguments[1] : null);
        try {
            Client client = new Client(channel, "java");
            client.unary();
            client.bulk();
            client.partialResults();
            client.deadline();
            client.errors();
            client.retries();
            System.out.println("all unary calls: ok");
            client.streamedBulk();
            System.out.println("streamed bulk: ok");
        } finally {
            channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        }
    }
}
