// Calls with nice-grpc; prints what came as JSON. `node client.mjs HOST:PORT`, after
// esbuild has made client.mjs of this file and of what ts-proto generates below gen.

import { ClientError, createChannel, createClientFactory, Metadata, Status } from "nice-grpc";
import { deadlineMiddleware } from "nice-grpc-client-middleware-deadline";
import { retryMiddleware } from "nice-grpc-client-middleware-retry";
import { errorDetailsClientMiddleware, RichClientError } from "nice-grpc-error-details";

import { PresenceServiceDefinition } from "./gen/genesys/presence/v1/presence_service";
import { PresenceStreamServiceDefinition } from "./gen/genesys/presence/v1/presence_stream_service";

const channel = createChannel(process.argv[2]);
const metadata = Metadata({ authorization: "Bearer nice-grpc" });
const users = Array.from({ length: 100 }, (_, number) => `00000000-0000-4000-8000-${String(number + 1).padStart(12, "0")}`);

const factory = createClientFactory().use(errorDetailsClientMiddleware).use(deadlineMiddleware);
const presence = factory.create(PresenceServiceDefinition, channel);
const streams = factory.create(PresenceStreamServiceDefinition, channel);

// The code of a call that fails, and the types of its details.
const failure = async (call: Promise<unknown>) => {
  try {
    await call;
    return ["OK"];
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const details = error instanceof RichClientError ? error.extra : [];
    return [Status[error.code], ...details.map((detail) => detail.$type)];
  }
};

const one = await presence.getUserPresencesPurecloud({ userId: users[0] }, { metadata, deadline: 9000 });

const many = await presence.getUsersPresencesPurecloudBulk(
  { ids: [...users, "nobody"], allowPartialResults: true },
  { metadata, deadline: 9000 },
);
const failed = many.failures.flatMap((each) => each.ids);

let streamed = 0;
const messages = (async function* () {
  yield { ids: users };
})();
for await (const message of streams.streamUsersPresencesPurecloudBulk(messages, { metadata })) streamed += message.presences.length;

const error = await failure(presence.getUserPresencesPurecloud({ userId: "nobody" }, { metadata, deadline: 9000 }));

// The sandbox does not answer these.
const deadline = await failure(presence.getSystempresences({}, { metadata, deadline: 500 }));
const sent = Metadata(metadata).set("grpc-timeout", "500m");
const sentByHand = await failure(presence.getSystempresences({}, { metadata: sent }));

// The sandbox fails these with a 500, after which a write may have been applied.
const retrying = createClientFactory().use(retryMiddleware).create(PresenceServiceDefinition, channel);
const retried = await failure(retrying.putPresenceSettings({ body: {} }, { metadata }));
const options = { metadata, retryableStatuses: [Status.UNAVAILABLE] };
const notRetried = await failure(retrying.putPresenceSettings({ body: {} }, options));

console.log(JSON.stringify({
  unary: one.presenceDefinition?.systemPresence,
  bulk: [many.presences.length > 0, failed.length > 0, many.presences.length + many.missingIds.length + failed.length],
  stream: streamed,
  error,
  deadline,
  sentByHand,
  retried,
  notRetried,
}));
channel.close();
