#!/usr/bin/env bash
# nice-grpc's retry middleware repeats a call that its server forbids to repeat.
#
# Versions: nice-grpc 2.1.18, nice-grpc-client-middleware-retry 3.1.16,
# @grpc/grpc-js 1.14.7, Node 20.20.2 (20 or later is needed).
#
# An RPC marked `idempotency_level = IDEMPOTENT` fails with UNKNOWN and the
# trailer `grpc-retry-pushback-ms: -1`, by which a server says that the call
# must not be repeated (gRPC A6). Node's grpc-js, with a retry policy that
# allows five attempts after UNKNOWN, obeys. nice-grpc's retry middleware, as
# it comes, makes the call again: it goes by the level of the RPC and by the
# code (UNKNOWN, INTERNAL, CANCELLED, UNAVAILABLE), and does not read the
# trailer. Whoever marks a write IDEMPOTENT has it sent twice by such clients
# where its outcome is unknown, whatever the server says.
#
# Seen:
#     grpc-js with a retry policy: 1 call reached the server
#     nice-grpc with its retry middleware: 2 calls reached the server
#
# Exits with 1 when it is otherwise.
set -euo pipefail

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module", "private": true}' >package.json
npm install --no-fund --no-audit --loglevel=error --save-exact \
    nice-grpc@2.1.18 nice-grpc-client-middleware-retry@3.1.16 @grpc/grpc-js@1.14.7 >/dev/null

cat >calls.mjs <<'JS'
import grpc from "@grpc/grpc-js";
import { createChannel, createClientFactory } from "nice-grpc";
import { retryMiddleware } from "nice-grpc-client-middleware-retry";

// Messages without fields, so that nothing needs to be generated.
const nothing = Buffer.alloc(0);
const empty = { requestStream: false, responseStream: false };
const plain = {
  ...empty, path: "/test.Store/Put",
  requestSerialize: () => nothing, requestDeserialize: () => ({}),
  responseSerialize: () => nothing, responseDeserialize: () => ({}),
};
// The same RPC as ts-proto generates it for nice-grpc.
const type = { encode: () => ({ finish: () => nothing }), decode: () => ({}), fromPartial: (message) => message };
const generated = {
  name: "Store", fullName: "test.Store",
  methods: { put: { ...empty, name: "Put", requestType: type, responseType: type, options: { idempotencyLevel: "IDEMPOTENT" } } },
};

let calls = 0;
const server = new grpc.Server();
server.addService({ Put: plain }, {
  Put: (_call, answer) => {
    calls += 1;
    const metadata = new grpc.Metadata();
    metadata.set("grpc-retry-pushback-ms", "-1");
    answer({ code: grpc.status.UNKNOWN, details: "nobody knows", metadata });
  },
});
const port = await new Promise((done, failed) =>
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => (error ? failed(error) : done(port))));
const address = `127.0.0.1:${port}`;

const count = async (label, call) => {
  calls = 0;
  await call().then(() => { throw new Error("it must fail"); }, (error) => { if (error.code !== grpc.status.UNKNOWN) throw error; });
  console.log(`${label}: ${calls} call${calls === 1 ? "" : "s"} reached the server`);
};

const retryPolicy = { maxAttempts: 5, initialBackoff: "0.1s", maxBackoff: "1s", backoffMultiplier: 2, retryableStatusCodes: ["UNKNOWN"] };
const serviceConfig = JSON.stringify({ methodConfig: [{ name: [{ service: "test.Store" }], retryPolicy }] });
const Client = grpc.makeGenericClientConstructor({ Put: plain }, "Store");
const core = new Client(address, grpc.credentials.createInsecure(), { "grpc.service_config": serviceConfig });
await count("grpc-js with a retry policy", () => new Promise((done, failed) => core.Put({}, (error) => (error ? failed(error) : done()))));

const nice = createClientFactory().use(retryMiddleware).create(generated, createChannel(address));
await count("nice-grpc with its retry middleware", () => nice.put({}));
process.exit(0);
JS

node calls.mjs | tee seen
diff --unified - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
grpc-js with a retry policy: 1 call reached the server
nice-grpc with its retry middleware: 2 calls reached the server
EXPECTED
