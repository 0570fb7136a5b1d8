// Calls the presence gateway with grpc-js. README.md shows how to run it.
//
//     node example.js [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
//
// The protos are loaded at run time, from PROTO; nothing is generated.

import { once } from "node:events";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTO = process.env.PROTO ?? join(import.meta.dirname, "../../proto");
export const USERS = Array.from({ length: 100 }, (_, n) => `00000000-0000-4000-8000-${String(n + 1).padStart(12, "0")}`);

const definition = protoLoader.loadSync(
  [
    "genesys/presence/v1/presence_service.proto",
    "genesys/presence/v1/presence_stream_service.proto",
    "genesys/presence/v1/presence_watch_service.proto",
    // The details of errors.
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
  ],
  { includeDirs: [PROTO], defaults: true, longs: Number, enums: String, oneofs: true },
);
export const { PresenceService, PresenceStreamService, PresenceWatchService } =
  grpc.loadPackageDefinition(definition).genesys.presence.v1;

/**
 * Returns the address without `http://`, and the credentials: for TLS, but to this machine or where
 * `http://` asks for it. Without TLS, everyone on the way can read the token.
 */
function target(address, caFile) {
  const host = address.replace(/^https?:\/\//, "");
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(address);
  if (!caFile && (isLocal || address.startsWith("http://"))) return [host, grpc.credentials.createInsecure()];
  // Without a file, it trusts the public authorities.
  return [host, grpc.credentials.createSsl(caFile ? readFileSync(caFile) : null)];
}

/** Opens a client. Keep one per process: it carries all calls, and reconnects by itself. */
export function connect(Service, address, caFile) {
  return new Service(...target(address, caFile), {
    // For each RPC: whether grpc-js repeats it after UNAVAILABLE, and its longest timeout.
    "grpc.service_config": readFileSync(join(PROTO, "service-config.json"), "utf-8"),
    // The response to 5000 ids has about 2 MB. By default, a client accepts 4 MiB.
    "grpc.max_receive_message_length": 8 * 1024 * 1024,
    "grpc.keepalive_time_ms": 60_000,
  });
}

/** Returns the metadata of a call: the Genesys Cloud token of the user for whom it is made. */
export function bearer(token) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/** Makes a unary call. Without `timeoutMs`, the timeout of the service config holds. */
function call(client, method, request, { token, timeoutMs }) {
  const options = timeoutMs ? { deadline: Date.now() + timeoutMs } : {};
  return new Promise((resolve, reject) => {
    client[method](request, bearer(token), options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

function readOne(presence, token, userId, timeoutMs = 10_000) {
  return call(presence, "getUserPresencesPurecloud", { userId }, { token, timeoutMs });
}

/**
 * Reads up to 5000 users. 50 users cost one request of the token's rate limit.
 * With partial results, the call succeeds although batches failed: `failures` has their users.
 */
function readMany(presence, token, ids) {
  return call(presence, "getUsersPresencesPurecloudBulk", { ids, allowPartialResults: true }, { token });
}

/** Reads any number of users in constant memory: the gateway sets the pace. */
async function* readStream(presenceStream, token, ids) {
  // No deadline: the duration depends on the number of ids.
  const stream = presenceStream.streamUsersPresencesPurecloudBulk(bearer(token));
  const send = async () => {
    for (let first = 0; first < ids.length; first += 50) {
      if (!stream.write({ ids: ids.slice(first, first + 50) })) await once(stream, "drain");
    }
    stream.end();
  };
  send().catch(() => {}); // If the stream fails; reading throws the error.
  try {
    yield* stream;
  } finally {
    stream.cancel(); // Without effect if the stream has ended.
  }
}

/** Returns the id of a status, for example "Meal", by its label in any language. */
export async function definitionId(presence, token, label) {
  const request = { localeCode: "ALL" };
  const { entities } = await call(presence, "getPresenceDefinitions", request, { token, timeoutMs: 10_000 });
  const found = entities.find(({ languageLabels }) => Object.values(languageLabels).includes(label));
  if (!found) throw new Error(`no presence definition has the label ${label}`);
  return found.id;
}

/** Sets the status of a user. Without a message, the message stays as it is; "" erases it. */
export function writeOne(presence, token, userId, definition, message) {
  const body = { presenceDefinition: { id: definition }, ...(message !== undefined && { message }) };
  return call(presence, "patchUserPresencesPurecloud", { userId, body }, { token, timeoutMs: 10_000 });
}

/**
 * Sets the status of up to 5000 users, and returns what became of each: users by outcome, and the error.
 * Send `not_tried` again, and `failed` when the cause is gone. Read `unknown` first.
 */
async function writeMany(presence, token, users, definition) {
  const body = users.map((id) => ({ id, presenceDefinition: { id: definition } }));
  try {
    await call(presence, "putUsersPresencesBulk", { body }, { token, timeoutMs: 60_000 });
    return { outcomes: { applied: users, failed: [], unknown: [], not_tried: [] } };
  } catch (error) {
    // Some updates may have been applied, whatever the code is. The report has their positions.
    const cause = statusOf(error);
    const { BulkWriteReport: report } = details(cause);
    if (!report) throw error;
    const named = (spans) => spans.flatMap(({ first, last }) => users.slice(first, last + 1));
    const { applied, failed, unknown, notTried } = report;
    return {
      outcomes: { applied: named(applied), failed: named(failed), unknown: named(unknown), not_tried: named(notTried) },
      cause,
    };
  }
}

/** Returns the status of an error, as `failures` of bulk calls have it; grpc-js leaves decoding to the caller. */
export function statusOf(error) {
  // An error that the library made, for example because it cannot connect, has no details.
  const [encoded] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!encoded) return { code: error.code, message: error.details, details: [] };
  return definition["google.rpc.Status"].deserialize(encoded);
}

/** Returns the details of a status by the names of their types. */
export function details(status) {
  return Object.fromEntries(
    status.details.map(({ type_url, value }) => {
      const type = type_url.split("/").pop();
      return [type.split(".").pop(), definition[type]?.deserialize(value)];
    }),
  );
}

/**
 * Describes an error. In code, decide by code, domain and reason; never by the message.
 * Log also the RequestInfo: Genesys Cloud's id of the request, for its support.
 */
export function explain(status) {
  const { ErrorInfo, BadRequest, RetryInfo } = details(status);
  const parts = [
    grpc.status[status.code],
    ...(ErrorInfo ? [`${ErrorInfo.domain} ${ErrorInfo.reason}`] : []),
    ...(RetryInfo ? [`retry in ${(RetryInfo.retryDelay.seconds + RetryInfo.retryDelay.nanos / 1e9).toFixed(1)} s`] : []),
  ];
  const violations = BadRequest?.fieldViolations.map(({ field, description }) => `${field} ${description}`);
  return `${parts.join(", ")}: ${violations?.join(", ") ?? status.message}`;
}

/** Prints the causes of partial results. In code, decide by each status as by that of a call. */
export function printFailures(step, failures) {
  for (const { ids, status } of failures) console.log(`${step}: ${ids.length} failed: ${explain(status)}`);
}

async function run(presence, presenceStream, token) {
  console.log("read:", (await readOne(presence, token, USERS[0])).presenceDefinition.systemPresence);

  const { presences, missingIds, failures } = await readMany(presence, token, USERS);
  const failed = failures.flatMap(({ ids }) => ids);
  console.log(`bulk: ${presences.length} read, ${missingIds.length} missing, ${failed.length} failed`);
  printFailures("bulk", failures);

  let progress;
  for await (const answer of readStream(presenceStream, token, [...USERS, "nobody"])) {
    ({ progress } = answer);
    printFailures("stream", answer.failures);
  }
  console.log(`stream: ${progress.done} read, ${progress.missing} missing, ${progress.failed} failed`);

  const meal = await definitionId(presence, token, "Meal");
  const written = await writeOne(presence, token, USERS[1], meal, "back at one");
  console.log(`write: ${written.presenceDefinition.systemPresence}, ${written.message}`);
  const { outcomes, cause } = await writeMany(presence, token, USERS, await definitionId(presence, token, "Available"));
  const counts = Object.entries(outcomes).map(([outcome, users]) => `${users.length} ${outcome}`);
  console.log("bulk write:", counts.join(", "));
  if (cause) console.log("bulk write:", explain(cause));

  for (const user of ["nobody", ".."]) {
    await readOne(presence, token, user).catch((error) => console.log("error:", explain(statusOf(error))));
  }

  // After UNAVAILABLE, grpc-js repeats a read by itself, at most twice and within the timeout, as
  // the service config says; it never repeats the two writes above.
  console.log("retry:", (await readOne(presence, token, USERS[2], 20_000)).presenceDefinition.systemPresence);

  try {
    console.log("deadline:", (await readOne(presence, token, USERS[3], 3000)).presenceDefinition.systemPresence);
  } catch (error) {
    if (error.code !== grpc.status.DEADLINE_EXCEEDED) throw error;
    console.log("deadline: exceeded");
  }
}

async function main(address = "127.0.0.1:50051", caFile) {
  const presence = connect(PresenceService, address, caFile);
  const presenceStream = connect(PresenceStreamService, address, caFile);
  try {
    await run(presence, presenceStream, process.env.PRESENCE_GATEWAY_TOKEN ?? "any");
  } catch (error) {
    if (!(error.code in grpc.status)) throw error;
    console.error("failed:", explain(statusOf(error)));
    process.exitCode = 1;
  } finally {
    presence.close();
    presenceStream.close();
  }
}

// Not where watch.js imports this file.
if (realpathSync(process.argv[1]) === import.meta.filename) await main(...process.argv.slice(2));
