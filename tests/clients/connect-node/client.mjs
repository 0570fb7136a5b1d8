// A client of the presence gateway in Node, with connect-node: another stack
// than grpc-js, with its own types. It speaks gRPC here, not Connect's protocol.
//
//     node client.mjs 127.0.0.1:50051            # without TLS
//     node client.mjs localhost:50051 ca.pem     # with TLS, trusting this authority
//
// The stubs are generated into gen/; see README.md, one directory up.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createGrpcTransport } from "@connectrpc/connect-node";

import { PresenceService } from "./gen/genesys/presence/v1/presence_service_pb.js";
import { PresenceStreamService } from "./gen/genesys/presence/v1/presence_stream_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const SERVICE_CONFIG = new URL("../../../proto/service-config.json", import.meta.url);
const USERS = Array.from({ length: 100 }, (_, n) => `00000000-0000-4000-8000-${String(n + 1).padStart(12, "0")}`);
const MIB = 1024 * 1024;

/** Connects; make one transport for the whole process, and keep it. */
function connect(address, caFile) {
  return createGrpcTransport({
    baseUrl: `${caFile ? "https" : "http"}://${address}`,
    nodeOptions: caFile ? { ca: readFileSync(caFile) } : {},
    // The response to 5000 ids has some 2 MB.
    readMaxBytes: 8 * MIB,
    // The gateway compresses responses to compressed requests, which pays off
    // over a slow network. This setting is for all calls; omit it for none.
    sendCompression: compressionGzip,
    pingIntervalMs: 60_000,
    interceptors: [repeating(JSON.parse(readFileSync(SERVICE_CONFIG, "utf-8")))],
  });
}

/**
 * Retries calls by the service config. connect-node knows no service
 * config, so this does what the others' libraries do by themselves: its
 * retries, and the server's word on when (`grpc-retry-pushback-ms`). It leaves
 * out the timeouts, which are each call's own here.
 */
function repeating(config) {
  const seconds = (duration) => Number.parseFloat(duration);
  // `UNAVAILABLE` is Code.Unavailable.
  const codeOf = (name) => Code[name.toLowerCase().replace(/(?:^|_)./g, (start) => start.at(-1).toUpperCase())];
  const policies = new Map();
  for (const { name, retryPolicy } of config.methodConfig) {
    for (const { service, method } of name) policies.set(`${service}/${method}`, retryPolicy);
  }
  return (next) => async (request) => {
    const policy = policies.get(`${request.service.typeName}/${request.method.name}`);
    if (request.stream || !policy) return next(request);
    const retryable = policy.retryableStatusCodes.map(codeOf);
    let backoff = seconds(policy.initialBackoff);
    for (let attempt = 1; ; attempt++) {
      try {
        if (attempt > 1) request.header.set("grpc-previous-rpc-attempts", String(attempt - 1));
        return await next(request);
      } catch (error) {
        const { code, metadata } = ConnectError.from(error);
        const pushback = Number(metadata.get("grpc-retry-pushback-ms") ?? NaN);
        if (!retryable.includes(code) || attempt === policy.maxAttempts || pushback < 0) throw error;
        const jitter = 0.8 + 0.4 * Math.random();
        await sleep(pushback >= 0 ? pushback : backoff * 1000 * jitter, undefined, { signal: request.signal });
        backoff = Math.min(backoff * policy.backoffMultiplier, seconds(policy.maxBackoff));
      }
    }
  };
}

/** The options of a call: the bearer token of its user, and its deadline. */
function options(token, timeoutMs) {
  return { headers: { authorization: `Bearer ${token}` }, timeoutMs };
}

async function failureOf(promise) {
  const answer = await promise.catch((error) => error);
  assert(answer instanceof ConnectError, `this should have failed: ${JSON.stringify(answer)}`);
  return answer;
}

async function unary(presence, token) {
  let headers;
  const onHeader = (received) => (headers = received);
  const answer = await presence.getUserPresencesPurecloud({ userId: USERS[0] }, { ...options(token, 5000), onHeader });
  assert.equal(answer.presenceDefinition.systemPresence, "Available");
  // The vendor's id of the request, for its support.
  assert(headers.get("inin-correlation-id"), "no correlation id came back");
  assert.equal(headers.get("grpc-encoding"), "gzip");
}

async function bulk(presence, token) {
  const answer = await presence.getUsersPresencesPurecloudBulk({ ids: [...USERS, "nobody"] }, options(token, 120_000));
  assert.equal(answer.presences.length, 100);
  assert.deepEqual(answer.missingIds, ["nobody"]);
}

/** One of the two batches fails; the response still has the presences of the other. */
async function partialResults(presence, token) {
  const request = { ids: USERS, allowPartialResults: true };
  const answer = await presence.getUsersPresencesPurecloudBulk(request, options(`${token}-partial`, 30_000));
  const failed = answer.failures.flatMap((failure) => failure.ids);
  assert.deepEqual([answer.presences.length, failed.length], [50, 50]);
  // Each failure is a google.rpc.Status with the details of an error.
  assert.equal(answer.failures[0].status.code, Code.Internal);
}

async function deadline(presence, token) {
  const slow = presence.getUserPresencesPurecloud({ userId: USERS[0] }, options(`${token}-slow`, 300));
  assert.equal((await failureOf(slow)).code, Code.DeadlineExceeded);
}

async function errors(presence, token) {
  const get = (userId, token) => failureOf(presence.getUserPresencesPurecloud({ userId }, options(token, 5000)));

  const [info] = (await get("nobody", token)).findDetails(ErrorInfoSchema);
  assert.deepEqual([info.domain, info.reason], ["genesys.cloud", "NOT_FOUND"]);

  const [bad] = (await get("..", token)).findDetails(BadRequestSchema);
  assert.deepEqual(bad.fieldViolations.map((violation) => violation.field), ["user_id"]);

  // The vendor returns 429 with a delay of 30 s. The deadline is 5 s, so the
  // gateway fails the call at once, with the delay in the error.
  const limited = await get(USERS[0], `${token}-limited`);
  assert.equal(limited.code, Code.ResourceExhausted);
  const [{ retryDelay }] = limited.findDetails(RetryInfoSchema);
  assert(retryDelay.seconds >= 25n && retryDelay.seconds <= 30n, `come back in ${retryDelay.seconds} s`);
}

async function retries(presence, token) {
  // The vendor is unavailable for three requests, as many as the gateway sends for one call.
  await presence.getUserPresencesPurecloud({ userId: USERS[0] }, options(`${token}-unavailable`, 10_000));

  // A PATCH is never retried automatically, although a second one would succeed.
  const request = { userId: USERS[0], body: { message: "lunch" } };
  const patch = presence.patchUserPresencesPurecloud(request, options(`${token}-unavailable`, 10_000));
  assert.equal((await failureOf(patch)).code, Code.Unavailable);
}

/** Any number of ids in constant memory: flow control follows the vendor's pace. */
async function streamedBulk(presenceStream, token) {
  async function* requests() {
    const ids = [...USERS, ...Array.from({ length: 20 }, (_, n) => `nobody-${n}`)];
    for (let first = 0; first < ids.length; first += 30) yield { ids: ids.slice(first, first + 30) };
  }

  let [read, missing, progress] = [0, 0, null];
  // No timeout: the duration of a stream depends on the number of ids.
  for await (const answer of presenceStream.streamUsersPresencesPurecloudBulk(requests(), options(token))) {
    read += answer.presences.length;
    missing += answer.missingIds.length;
    progress = answer.progress;
  }
  assert.deepEqual([read, missing], [100, 20]);
  assert.deepEqual([progress.received, progress.done], [120n, 100n]);
}

const [address, caFile] = process.argv.slice(2);
const token = "connect-node";
const transport = connect(address, caFile);
const presence = createClient(PresenceService, transport);
for (const step of [unary, bulk, partialResults, deadline, errors, retries]) {
  await step(presence, token);
  console.log(`${step.name}: ok`);
}
await streamedBulk(createClient(PresenceStreamService, transport), token);
console.log("streamedBulk: ok");
process.exit(); // The transport keeps its connection, and the process with it.
