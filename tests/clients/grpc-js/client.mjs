// A client of the presence gateway in Node, with grpc-js.
//
//     node client.mjs 127.0.0.1:50051            # without TLS
//     node client.mjs localhost:50051 ca.pem     # with TLS, trusting this authority
//
// Loads the protos at run time; nothing is generated.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTOS = fileURLToPath(new URL("../../../proto/", import.meta.url));
const USERS = Array.from({ length: 100 }, (_, n) => `00000000-0000-4000-8000-${String(n + 1).padStart(12, "0")}`);
const MIB = 1024 * 1024;

const definition = protoLoader.loadSync(
  [
    "genesys/presence/v1/presence_service.proto",
    "genesys/presence/v1/presence_stream_service.proto",
    // For the details of errors.
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
  ],
  { includeDirs: [PROTOS], longs: Number, arrays: true },
);
const { PresenceService, PresenceStreamService } = grpc.loadPackageDefinition(definition).genesys.presence.v1;

/** Opens a client; make one for the whole process, and keep it. */
function connect(Service, address, caFile) {
  const credentials = caFile ? grpc.credentials.createSsl(readFileSync(caFile)) : grpc.credentials.createInsecure();
  return new Service(address, credentials, {
    // The retry policy and the timeout of each method.
    "grpc.service_config": readFileSync(`${PROTOS}/service-config.json`, "utf-8"),
    // The response to 5000 ids has some 2 MB; a client accepts 4 MiB by default.
    "grpc.max_receive_message_length": 8 * MIB,
    "grpc.keepalive_time_ms": 60_000,
  });
}

/** Metadata with the bearer token of the user on whose behalf the call is made. */
function bearer(token) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/** Makes a unary call; without seconds, the timeout of the service config applies. */
function call(client, method, request, token, seconds) {
  const options = seconds ? { deadline: Date.now() + seconds * 1000 } : {};
  return promisify(client[method].bind(client))(request, bearer(token), options);
}

/** The google.rpc details of an error, by their names. grpc-js does not decode them. */
function details(error) {
  const [encoded] = error.metadata.get("grpc-status-details-bin");
  const status = definition["google.rpc.Status"].deserialize(encoded);
  return Object.fromEntries(
    status.details.map((detail) => {
      const name = detail.type_url.split("/").pop();
      return [name.split(".").pop(), definition[name]?.deserialize(detail.value)];
    }),
  );
}

async function failureOf(promise) {
  const answer = await promise.catch((error) => error);
  assert(answer instanceof Error, `this should have failed: ${JSON.stringify(answer)}`);
  return answer;
}

async function unary(presence, token) {
  const answer = await call(presence, "getUserPresencesPurecloud", { userId: USERS[0] }, token, 5);
  assert.equal(answer.presenceDefinition.systemPresence, "Available");
}

async function bulk(presence, token) {
  const answer = await call(presence, "getUsersPresencesPurecloudBulk", { ids: [...USERS, "nobody"] }, token);
  assert.equal(answer.presences.length, 100);
  assert.deepEqual(answer.missingIds, ["nobody"]);
}

/** One of the two batches fails; the response still has the presences of the other. */
async function partialResults(presence, token) {
  const request = { ids: USERS, allowPartialResults: true };
  const answer = await call(presence, "getUsersPresencesPurecloudBulk", request, `${token}-partial`, 30);
  const failed = answer.failures.flatMap((failure) => failure.ids);
  assert.deepEqual([answer.presences.length, failed.length], [50, 50]);
  // Each failure is a google.rpc.Status with the details of an error.
  assert.equal(answer.failures[0].status.code, grpc.status.INTERNAL);
}

async function deadline(presence, token) {
  const slow = call(presence, "getUserPresencesPurecloud", { userId: USERS[0] }, `${token}-slow`, 0.3);
  assert.equal((await failureOf(slow)).code, grpc.status.DEADLINE_EXCEEDED);
}

async function errors(presence, token) {
  const get = (userId, token) => failureOf(call(presence, "getUserPresencesPurecloud", { userId }, token, 5));

  const { domain, reason } = details(await get("nobody", token)).ErrorInfo;
  assert.deepEqual([domain, reason], ["genesys.cloud", "NOT_FOUND"]);

  const { fieldViolations } = details(await get("..", token)).BadRequest;
  assert.deepEqual(fieldViolations.map((violation) => violation.field), ["user_id"]);

  // The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
  // gateway fails the call at once, with the delay in the error.
  const limited = await get(USERS[0], `${token}-limited`);
  assert.equal(limited.code, grpc.status.RESOURCE_EXHAUSTED);
  const { retryDelay } = details(limited).RetryInfo;
  assert(retryDelay.seconds >= 25 && retryDelay.seconds <= 30, `come back in ${retryDelay.seconds} s`);
}

async function retries(presence, token) {
  // The vendor is unavailable for three requests, as many as the gateway sends for one call.
  await call(presence, "getUserPresencesPurecloud", { userId: USERS[0] }, `${token}-unavailable`, 10);

  // A PATCH is never retried automatically, although a second one would succeed.
  const request = { userId: USERS[0], body: { message: "lunch" } };
  const patch = call(presence, "patchUserPresencesPurecloud", request, `${token}-unavailable`, 10);
  assert.equal((await failureOf(patch)).code, grpc.status.UNAVAILABLE);
}

/** Any number of ids in constant memory: flow control follows the vendor's pace. */
async function streamedBulk(presenceStream, token) {
  // No deadline: the duration of a stream depends on the number of ids.
  const stream = presenceStream.streamUsersPresencesPurecloudBulk(bearer(token));
  const sent = (async () => {
    const ids = [...USERS, ...Array.from({ length: 20 }, (_, n) => `nobody-${n}`)];
    for (let first = 0; first < ids.length; first += 30) {
      if (!stream.write({ ids: ids.slice(first, first + 30) })) {
        await new Promise((resume) => stream.once("drain", resume));
      }
    }
    stream.end();
  })();

  let [read, missing, progress] = [0, 0, null];
  for await (const answer of stream) {
    read += answer.presences.length;
    missing += answer.missingIds.length;
    progress = answer.progress;
  }
  await sent;
  assert.deepEqual([read, missing], [100, 20]);
  assert.deepEqual([progress.received, progress.done], [120, 100]);
}

const [address, caFile] = process.argv.slice(2);
const token = "grpc-js";
const presence = connect(PresenceService, address, caFile);
for (const step of [unary, bulk, partialResults, deadline, errors, retries]) {
  await step(presence, token);
  console.log(`${step.name}: ok`);
}
presence.close();
const presenceStream = connect(PresenceStreamService, address, caFile);
await streamedBulk(presenceStream, token);
console.log("streamedBulk: ok");
presenceStream.close();
