package org.example.presence;

import com.genesys.presence.v1.BulkReadFailure;
import com.genesys.presence.v1.StreamProgress;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;

/** Calls the gateway at an address, with a file of authorities if it needs one: {@code [ADDRESS [CA_FILE]]}. */
public final class Example {
    private static final Duration TIMEOUT = Duration.ofSeconds(10);

    private Example() {}

    /** Prints the causes of partial results. In code, decide by each status as by that of a call. */
    private static void printFailures(String step, List<BulkReadFailure> failures) {
        for (BulkReadFailure failure : failures) {
            System.out.printf("%s: %d failed: %s%n", step, failure.getIdsCount(),
                    PresenceClient.explain(StatusProto.toStatusRuntimeException(failure.getStatus())));
        }
    }

    private static void run(PresenceClient client) {
        List<String> users = IntStream.rangeClosed(1, 100) // those of the sandbox
                .mapToObj(n -> String.format("00000000-0000-4000-8000-%012d", n)).toList();

        var read = client.readOne(users.get(0), TIMEOUT);
        System.out.println("read: " + read.getPresenceDefinition().getSystemPresence());

        var bulk = client.readMany(users);
        int failed = bulk.getFailuresList().stream().mapToInt(failure -> failure.getIdsCount()).sum();
        System.out.printf("bulk: %d read, %d missing, %d failed%n",
                bulk.getPresencesCount(), bulk.getMissingIdsCount(), failed);
        printFailures("bulk", bulk.getFailuresList());

        var ids = new ArrayList<>(users);
        ids.add("nobody");
        var last = new AtomicReference<StreamProgress>();
        client.readStream(ids, answer -> {
            last.set(answer.getProgress());
            printFailures("stream", answer.getFailuresList());
        });
        StreamProgress progress = last.get();
        System.out.printf("stream: %d read, %d missing, %d failed%n",
                progress.getDone(), progress.getMissing(), progress.getFailed());

        var written = client.writeOne(users.get(1), client.definition("Meal"), "back at one");
        System.out.printf("write: %s, %s%n", written.getPresenceDefinition().getSystemPresence(), written.getMessage());
        var outcomes = client.writeMany(users, client.definition("Available"));
        System.out.printf("bulk write: %d applied, %d failed, %d unknown, %d not_tried%n", outcomes.applied().size(),
                outcomes.failed().size(), outcomes.unknown().size(), outcomes.notTried().size());
        outcomes.cause().ifPresent(error -> System.out.println("bulk write: " + PresenceClient.explain(error)));

        for (String user : List.of("nobody", "..")) {
            try {
                client.readOne(user, TIMEOUT);
            } catch (StatusRuntimeException error) {
                System.out.println("error: " + PresenceClient.explain(error));
            }
        }

        // After UNAVAILABLE, grpc-java repeats a read by itself, at most twice and within the timeout,
        // as the service config says; it never repeats the two writes above.
        var repeated = client.readOne(users.get(2), Duration.ofSeconds(20));
        System.out.println("retry: " + repeated.getPresenceDefinition().getSystemPresence());

        try {
            var inTime = client.readOne(users.get(3), Duration.ofSeconds(3));
            System.out.println("deadline: " + inTime.getPresenceDefinition().getSystemPresence());
        } catch (StatusRuntimeException error) {
            if (error.getStatus().getCode() != Status.Code.DEADLINE_EXCEEDED) {
                throw error;
            }
            System.out.println("deadline: exceeded");
        }
    }

    public static void main(String[] arguments) throws Exception {
        String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:50051";
        File caFile = arguments.length > 1 ? new File(arguments[1]) : null;
        String token = System.getenv().getOrDefault("PRESENCE_GATEWAY_TOKEN", "any");
        ManagedChannel channel = PresenceClient.connect(address, caFile);
        boolean hasFailed = false;
        try {
            run(new PresenceClient(channel, token));
        } catch (StatusRuntimeException error) {
            System.err.println("failed: " + PresenceClient.explain(error));
            hasFailed = true;
        } finally {
            channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
        }
        if (hasFailed) {
            System.exit(1); // Not above, where it would leave out `finally`.
        }
    }
}
