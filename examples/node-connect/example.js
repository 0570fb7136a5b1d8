// Calls the presence gateway with connect-node, by gRPC. README.md shows how to run it.
//
//     node example.js [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN

import { readFileSync } from "node:fs";

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { BulkWriteReportSchema } from "./gen/genesys/presence/v1/bulk_pb.js";
import { PresenceService } from "./gen/genesys/presence/v1/presence_service_pb.js";
import { PresenceStreamService } from "./gen/genesys/presence/v1/presence_stream_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { retriesBy } from "./retries.js";

const SERVICE_CONFIG = JSON.parse(readFileSync(new URL("gen/service-config.json", import.meta.url), "utf-8"));
const USERS = Array.from({ length: 100 }, (_, n) => `00000000-0000-4000-8000-${String(n + 1).padStart(12, "0")}`);

/**
 * Makes a transport, and a function that closes its connection. Keep one per process: it carries all
 * calls, and reconnects by itself.
 */
function connect(address, caFile) {
  const baseUrl = urlOf(address, caFile);
  // TLS. Without `ca`, it trusts the public authorities.
  const tls = caFile ? { ca: readFileSync(caFile) } : {};
  const sessionManager = new Http2SessionManager(baseUrl, { pingIntervalMs: 60_000 }, tls);
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [retriesBy(SERVICE_CONFIG)],
    // The response to 5000 ids has about 2 MB.
    readMaxBytes: 8 * 1024 * 1024,
    // To a compressed request, the gateway returns a compressed response: for slow networks.
    sendCompression: compressionGzip,
  });
  return { transport, close: () => sessionManager.abort() };
}

/**
 * Returns the URL of an address: with TLS, but to this machine or where `http://` asks for it.
 * Without TLS, everyone on the way can read the token.
 */
function urlOf(address, caFile) {
  const host = address.replace(/^https?:\/\//, "");
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(address);
  const isPlaintext = !caFile && (isLocal || address.startsWith("http://"));
  return `${isPlaintext ? "http" : "https"}://${host}`;
}

/** Returns the options of a call: the Genesys Cloud token of the user for whom it is made, and its deadline. */
function options(token, timeoutMs) {
  return { headers: { authorization: `Bearer ${token}` }, timeoutMs };
}

function readOne(presence, token, userId, timeoutMs = 10_000) {
  return presence.getUserPresencesPurecloud({ userId }, options(token, timeoutMs));
}

/**
 * Reads up to 5000 users. 50 users cost one request of the token's rate limit.
 * With partial results, the call succeeds although batches failed: `failures` has their users.
 */
function readMany(presence, token, ids) {
  return presence.getUsersPresencesPurecloudBulk({ ids, allowPartialResults: true }, options(token, 60_000));
}

/** Reads any number of users in constant memory: the gateway sets the pace. */
function readStream(presenceStream, token, ids) {
  async function* requests() {
    for (let first = 0; first < ids.length; first += 50) yield { ids: ids.slice(first, first + 50) };
  }
  // No timeout: the duration depends on the number of ids.
  return presenceStream.streamUsersPresencesPurecloudBulk(requests(), options(token));
}

/** Returns the id of a status, for example "Meal", by its label in any language. */
async function definitionId(presence, token, label) {
  const { entities } = await presence.getPresenceDefinitions({ localeCode: "ALL" }, options(token, 10_000));
  const found = entities.find(({ languageLabels }) => Object.values(languageLabels).includes(label));
  if (!found) throw new Error(`no presence definition has the label ${label}`);
  return found.id;
}

/** Sets the status of a user. Without a message, the message stays as it is; "" erases it. */
function writeOne(presence, token, userId, definition, message) {
  const body = { presenceDefinition: { id: definition }, message };
  return presence.patchUserPresencesPurecloud({ userId, body }, options(token, 10_000));
}

/**
 * Sets the status of up to 5000 users, and returns what became of each: users by outcome, and the error.
 * Send `not_tried` again, and `failed` when the cause is gone. Read `unknown` first.
 */
async function writeMany(presence, token, users, definition) {
  const body = users.map((id) => ({ id, presenceDefinition: { id: definition } }));
  try {
    await presence.putUsersPresencesBulk({ body }, options(token, 60_000));
    return { outcomes: { applied: users, failed: [], unknown: [], not_tried: [] } };
  } catch (error) {
    // Some updates may have been applied, whatever the code is. The report has their positions.
    const cause = ConnectError.from(error);
    const [report] = cause.findDetails(BulkWriteReportSchema);
    if (!report) throw error;
    const named = (spans) => spans.flatMap(({ first, last }) => users.slice(Number(first), Number(last) + 1));
    const { applied, failed, unknown, notTried } = report;
    return {
      outcomes: { applied: named(applied), failed: named(failed), unknown: named(unknown), not_tried: named(notTried) },
      cause,
    };
  }
}

/**
 * Describes an error. In code, decide by code, domain and reason; never by the message.
 * Log also the RequestInfo: Genesys Cloud's id of the request, for its support.
 */
function explain(error) {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [badRequest] = error.findDetails(BadRequestSchema);
  const [retryInfo] = error.findDetails(RetryInfoSchema);
  const parts = [
    // NotFound is NOT_FOUND elsewhere.
    Code[error.code].replace(/\B[A-Z]/g, "_$&").toUpperCase(),
    // An error that the library made, for example because it cannot connect, has no details.
    ...(info ? [`${info.domain} ${info.reason}`] : []),
    ...(retryInfo ? [`retry in ${(durationMs(retryInfo.retryDelay) / 1000).toFixed(1)} s`] : []),
  ];
  const violations = badRequest?.fieldViolations.map(({ field, description }) => `${field} ${description}`);
  return `${parts.join(", ")}: ${violations?.join(", ") ?? error.rawMessage}`;
}

/** Prints the causes of partial results. In code, decide by each status as by that of a call. */
function printFailures(step, failures) {
  for (const { ids, status } of failures) {
    const error = new ConnectError(status.message, status.code);
    error.details = status.details.map(({ typeUrl, value }) => ({ type: typeUrl.split("/").pop(), value }));
    console.log(`${step}: ${ids.length} failed: ${explain(error)}`);
  }
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
    await readOne(presence, token, user).catch((error) => console.log("error:", explain(ConnectError.from(error))));
  }

  // After UNAVAILABLE, the interceptor repeats a read by itself, at most twice and within the
  // timeout, as the service config says; it never repeats the two writes above.
  console.log("retry:", (await readOne(presence, token, USERS[2], 20_000)).presenceDefinition.systemPresence);

  try {
    console.log("deadline:", (await readOne(presence, token, USERS[3], 3000)).presenceDefinition.systemPresence);
  } catch (error) {
    if (ConnectError.from(error).code !== Code.DeadlineExceeded) throw error;
    console.log("deadline: exceeded");
  }
}

const [address = "127.0.0.1:50051", caFile] = process.argv.slice(2);
const { transport, close } = connect(address, caFile);
const presence = createClient(PresenceService, transport);
const presenceStream = createClient(PresenceStreamService, transport);
try {
  await run(presence, presenceStream, process.env.PRESENCE_GATEWAY_TOKEN ?? "any");
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  console.error("failed:", explain(error));
  process.exitCode = 1;
} finally {
  close(); // An open connection keeps the process.
}
