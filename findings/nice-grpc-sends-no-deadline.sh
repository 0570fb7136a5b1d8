#!/usr/bin/env bash
# nice-grpc's deadline middleware does not send the deadline to the server.
#
# Versions: nice-grpc 2.1.18, nice-grpc-client-middleware-deadline 2.0.20,
# @grpc/grpc-js 1.14.7, Node 20.20.2 (20 or later is needed).
#
# A client of gRPC sends its deadline as `grpc-timeout`, so that the server can
# stop in time and say what it did. grpc-js does. nice-grpc runs on grpc-js, but
# its middleware ends the call by a timer of its own, and sends nothing.
#
# Seen, as the header of a call with a deadline of five seconds:
#     grpc-js: grpc-timeout is sent
#     nice-grpc with its deadline middleware: no grpc-timeout
#
# Exits with 1 when it is otherwise.
set -euo pipefail

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module", "private": true}' >package.json
npm install --no-fund --no-audit --loglevel=error --save-exact \
    nice-grpc@2.1.18 nice-grpc-client-middleware-deadline@2.0.20 @grpc/grpc-js@1.14.7 >/dev/null

cat >calls.mjs <<'JS'
import { createServer } from "node:http2";
import grpc from "@grpc/grpc-js";
import { createChannel, createClientFactory } from "nice-grpc";
import { deadlineMiddleware } from "nice-grpc-client-middleware-deadline";

// Messages without fields, so that nothing needs to be generated.
const nothing = Buffer.alloc(0);
const type = { encode: () => ({ finish: () => nothing }), decode: () => ({}), fromPartial: (message) => message };
const generated = {
  name: "Store", fullName: "test.Store",
  methods: { get: { name: "Get", requestType: type, responseType: type, requestStream: false, responseStream: false, options: {} } },
};

// gRPC by hand, because the libraries do not show the header to a service.
let seen;
const server = createServer((request, response) => {
  seen = request.headers["grpc-timeout"];
  request.resume();
  response.writeHead(200, { "content-type": "application/grpc", trailer: "grpc-status" });
  response.addTrailers({ "grpc-status": "0" });
  response.end(Buffer.alloc(5));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const address = `127.0.0.1:${server.address().port}`;
const deadline = () => new Date(Date.now() + 5000);

const core = new grpc.Client(address, grpc.credentials.createInsecure());
await new Promise((done, failed) =>
  core.makeUnaryRequest("/test.Store/Get", () => nothing, () => ({}), {}, { deadline: deadline() }, (error) => (error ? failed(error) : done())));
console.log(`grpc-js: ${seen ? "grpc-timeout is sent" : "no grpc-timeout"}`);

seen = undefined;
const nice = createClientFactory().use(deadlineMiddleware).create(generated, createChannel(address));
await nice.get({}, { deadline: deadline() });
console.log(`nice-grpc with its deadline middleware: ${seen ? "grpc-timeout is sent" : "no grpc-timeout"}`);
process.exit(0);
JS

node calls.mjs | tee seen
diff --unified - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
grpc-js: grpc-timeout is sent
nice-grpc with its deadline middleware: no grpc-timeout
EXPECTED
