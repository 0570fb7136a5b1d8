#!/usr/bin/env bash
# connect-node fails a call at once when its deadline is more than 24.8 days away.
#
# Versions: @connectrpc/connect and @connectrpc/connect-node 2.3.0,
# @bufbuild/protobuf 2.17.0, Node 20.20.2 (20 or later is needed).
#
# A client that wants a call to last "for ever" gives it a very long timeout.
# connect-node hands it to a timer of 32 bits: from 2,147,483,648 ms on, Node
# sets that to 1 ms, and the call ends with DeadlineExceeded before its server
# has done anything: as a deadline of no time, not as one of a month.
#
# Seen, of a server that answers after half a second (Node's warning goes to
# standard error):
#     2147483647 ms: ok
#     2147483648 ms: DeadlineExceeded in less than half a second
#
# Exits with 1 when it is otherwise.
set -euo pipefail

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module", "private": true}' >package.json
npm install --no-fund --no-audit --loglevel=error --save-exact \
    @connectrpc/connect@2.3.0 @connectrpc/connect-node@2.3.0 @bufbuild/protobuf@2.17.0 >/dev/null

cat >calls.mjs <<'JS'
import { createServer } from "node:http2";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

// service test.Slow { rpc Get(google.protobuf.Empty) returns (google.protobuf.Empty); }
const empty = ".google.protobuf.Empty";
const file = {
  name: "slow.proto", package: "test", syntax: "proto3", dependency: ["google/protobuf/empty.proto"],
  service: [{ name: "Slow", method: [{ name: "Get", inputType: empty, outputType: empty }] }],
};
const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
const Slow = createFileRegistry(set).getService("test.Slow");

const HALF_A_SECOND = 500;
const server = createServer((request, response) => {
  request.resume();
  setTimeout(() => {
    if (response.stream.destroyed) return;
    response.writeHead(200, { "content-type": "application/grpc", trailer: "grpc-status" });
    response.addTrailers({ "grpc-status": "0" });
    response.end(Buffer.alloc(5));
  }, HALF_A_SECOND);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const client = createClient(Slow, createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.address().port}` }));

for (const timeoutMs of [2 ** 31 - 1, 2 ** 31]) {
  const begun = performance.now();
  try {
    await client.get({}, { timeoutMs });
    console.log(`${timeoutMs} ms: ok`);
  } catch (error) {
    const soon = performance.now() - begun < HALF_A_SECOND ? "less than" : "more than";
    console.log(`${timeoutMs} ms: ${Code[ConnectError.from(error).code]} in ${soon} half a second`);
  }
}
process.exit(0);
JS

node calls.mjs | tee seen
diff --unified - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
2147483647 ms: ok
2147483648 ms: DeadlineExceeded in less than half a second
EXPECTED
