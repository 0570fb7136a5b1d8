// Watches presences as they change, with grpc-js. README.md shows how to run it.
//
//     node watch.js [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
//
// example.js has what it leaves out: errors with their details, and all other calls.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTO = process.env.PROTO ?? join(import.meta.dirname, "../../proto");
const USERS = Array.from({ length: 10 }, (_, n) => `00000000-0000-4000-8000-${String(n + 1).padStart(12, "0")}`);

const services = ["presence_service", "presence_watch_service"].map((name) => `genesys/presence/v1/${name}.proto`);
const definition = protoLoader.loadSync(services, { includeDirs: [PROTO], enums: String, oneofs: true });
const { PresenceService, PresenceWatchService } = grpc.loadPackageDefinition(definition).genesys.presence.v1;

// Another watch would end in the same way.
const FINAL = [grpc.status.INVALID_ARGUMENT, grpc.status.UNAUTHENTICATED, grpc.status.UNIMPLEMENTED];

/** Returns the address without `http://`, and the credentials, as example.js does: TLS, but to this machine. */
function target(address, caFile) {
  const host = address.replace(/^https?:\/\//, "");
  const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(address);
  if (!caFile && (isLocal || address.startsWith("http://"))) return [host, grpc.credentials.createInsecure()];
  return [host, grpc.credentials.createSsl(caFile ? readFileSync(caFile) : null)];
}

/** Opens a client. It sends a ping each minute, and so notices a lost connection. */
function connect(Service, address, caFile) {
  return new Service(...target(address, caFile), { "grpc.keepalive_time_ms": 60_000 });
}

function bearer(token) {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/**
 * Yields what is new, for ever: begins another watch when one ends, for example in a roll-out. The
 * first messages of each watch are the presences of all users: the current state.
 */
async function* watch(presenceWatch, token, ids) {
  for (let delay = 1000; ; delay = Math.min(2 * delay, 60_000)) {
    // No deadline: a watch lasts. Something comes every 25 s.
    const stream = presenceWatch.watchUsersPresences({ ids }, bearer(token));
    try {
      for await (const message of stream) {
        delay = 500;
        yield message;
      }
    } catch (error) {
      if (FINAL.includes(error.code)) throw error;
    } finally {
      stream.cancel();
    }
    // At a random time, so that callers who lost a replica together do not come together.
    await sleep(Math.random() * delay);
  }
}

/** Sets the status of a user to Meal. */
function change(presence, token, userId) {
  const body = { presenceDefinition: { id: "3fd96123-badb-4f69-bc03-1b1ccc6d8014" } };
  const options = { deadline: Date.now() + 10_000 };
  return new Promise((resolve, reject) => {
    presence.patchUserPresencesPurecloud({ userId, body }, bearer(token), options, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

async function run(presence, presenceWatch, token) {
  const current = new Map();
  for await (const message of watch(presenceWatch, token, [...USERS, "nobody"])) {
    if (message.update === "presence") {
      const { userId, presence: now, cause } = message.presence;
      current.set(userId, now.presenceDefinition.systemPresence);
      if (cause === "CHANGE") return console.log("change:", current.get(userId));
    }
    if (message.update === "state") {
      console.log("state:", message.state.mode);
      if (message.state.mode !== "LIVE") continue;
      console.log(`current: ${current.size} users`);
      await change(presence, token, USERS[4]);
    }
    if (message.missingIds?.length) console.log(`missing: ${message.missingIds.length}`);
  }
}

const [address = "127.0.0.1:50051", caFile] = process.argv.slice(2);
const presence = connect(PresenceService, address, caFile);
const presenceWatch = connect(PresenceWatchService, address, caFile);
try {
  await run(presence, presenceWatch, process.env.PRESENCE_GATEWAY_TOKEN ?? "any");
} finally {
  presence.close();
  presenceWatch.close();
}
