// Watches presences as they change, with grpc-js. README.md shows how to run it.
//
//     node watch.js [ADDRESS [CA_FILE]]     # the token: PRESENCE_GATEWAY_TOKEN
//
// The connection and the errors are those of example.js.

import { setTimeout as sleep } from "node:timers/promises";

import grpc from "@grpc/grpc-js";

import {
  PresenceService,
  PresenceWatchService,
  USERS,
  bearer,
  connect,
  definitionId,
  details,
  explain,
  printFailures,
  statusOf,
  writeOne,
} from "./example.js";

// Another watch would end in the same way. The first three are also those of the last `failure`.
const FINAL = [
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.PERMISSION_DENIED,
  grpc.status.UNIMPLEMENTED,
];
// All presences are current: by notifications or, where there are none, by polls.
const CURRENT = ["LIVE", "POLLING"];
// Twice the time after which the gateway repeats the state.
const SILENCE_MS = 2 * 25_000;
// The longest delay before another watch.
const MAX_DELAY_MS = 60_000;

/**
 * Returns a token of Genesys Cloud: another one than that which was just rejected, if any. Of a
 * service: one from the vendor's login host, by OAuth 2, which it keeps until it is about to expire
 * or is the rejected one.
 */
async function currentToken(rejected) {
  return process.env.PRESENCE_GATEWAY_TOKEN ?? "any";
}

/**
 * Yields what is new, for ever: begins another watch when one ends, for example in a roll-out.
 * When a watch ends, yields the state RESYNCING. Then the next one has a message about each user
 * again, before LIVE or POLLING: keep the presences meanwhile, and show that they are not current.
 * Throws what another watch would not mend.
 */
async function* watch(presenceWatch, getToken, ids) {
  let token = await getToken();
  for (let delay = 1000; ; delay = Math.min(2 * delay, MAX_DELAY_MS)) {
    // No deadline: a watch lasts.
    const stream = presenceWatch.watchUsersPresences({ ids }, bearer(token));
    // Ends it if nothing comes for too long: its connection is lost.
    const startWatchdog = () => setTimeout(() => stream.cancel(), SILENCE_MS);
    let watchdog = startWatchdog();
    let least = 0;
    let status;
    try {
      for await (const message of stream) {
        clearTimeout(watchdog); // Not while the message is handled.
        // A user who cannot be read may keep LIVE and POLLING away.
        if (message.presence || CURRENT.includes(message.state?.mode)) delay = 1000;
        yield message;
        watchdog = startWatchdog();
      }
    } catch (error) {
      if (FINAL.includes(error.code)) throw error;
      const rejected = error.code === grpc.status.UNAUTHENTICATED ? token : undefined;
      token = await getToken(rejected);
      if (token === rejected) throw error;
      status = statusOf(error);
      const { retryDelay } = details(status).RetryInfo ?? {};
      if (retryDelay) least = retryDelay.seconds * 1000 + retryDelay.nanos / 1e6;
      console.error("watch again:", explain(status));
    } finally {
      clearTimeout(watchdog);
      stream.cancel(); // Without effect if the watch has ended.
    }
    yield { update: "state", state: { mode: "RESYNCING", status }, missingIds: [] };
    // At a random time, so that callers who lost a replica together do not come together.
    await sleep(least + Math.random() * delay);
  }
}

async function run(presence, presenceWatch, getToken) {
  const current = new Map();
  const meal = await definitionId(presence, await getToken(), "Meal");
  let isWritten = false;
  for await (const message of watch(presenceWatch, getToken, [...USERS.slice(0, 10), "nobody"])) {
    if (message.update === "presence") {
      const { userId, presence: now, cause } = message.presence;
      current.set(userId, now.presenceDefinition.systemPresence);
      if (cause === "CHANGE") return console.log("change:", current.get(userId));
    }
    if (message.update === "state") {
      console.log("state:", message.state.mode);
      if (CURRENT.includes(message.state.mode) && !isWritten) {
        console.log(`current: ${current.size} users`);
        await writeOne(presence, await getToken(), USERS[4], meal);
        isWritten = true;
      }
    }
    if (message.update === "failure") printFailures("watch", [message.failure]);
    // Of an earlier watch, they may have a presence that does not hold any more.
    for (const id of [...message.missingIds, ...(message.failure?.ids ?? [])]) current.delete(id);
    if (message.missingIds.length) console.log(`missing: ${message.missingIds.length}`);
  }
}

const [address = "127.0.0.1:50051", caFile] = process.argv.slice(2);
const presence = connect(PresenceService, address, caFile);
const presenceWatch = connect(PresenceWatchService, address, caFile);
try {
  await run(presence, presenceWatch, currentToken);
} catch (error) {
  if (!(error.code in grpc.status)) throw error;
  console.error("failed:", explain(statusOf(error)));
  process.exitCode = 1;
} finally {
  presence.close();
  presenceWatch.close();
}
