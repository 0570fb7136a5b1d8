#!/usr/bin/env bash
# connect-node reports a server certificate that it does not trust as INTERNAL.
#
# Versions: @connectrpc/connect and @connectrpc/connect-node 2.3.0,
# @bufbuild/protobuf 2.17.0, @grpc/grpc-js 1.14.7, Node 20.20.2 (20 or later is
# needed), openssl.
#
# A connection that cannot be made is UNAVAILABLE in gRPC: nothing was sent.
# Node's grpc-js reports so a certificate that it does not trust, and
# connect-node a connection that is refused. But a certificate that it does not
# trust is Code.Internal there, which says that the server is broken.
#
# Seen:
#     grpc-js, an untrusted certificate: UNAVAILABLE
#     connect-node, an untrusted certificate: Internal, self-signed certificate
#     connect-node, a refused connection: Unavailable
#
# Exits with 1 when it is otherwise.
set -euo pipefail

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"type": "module", "private": true}' >package.json
npm install --no-fund --no-audit --loglevel=error --save-exact @connectrpc/connect@2.3.0 \
    @connectrpc/connect-node@2.3.0 @bufbuild/protobuf@2.17.0 @grpc/grpc-js@1.14.7 >/dev/null
openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.pem 2>/dev/null

cat >calls.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import grpc from "@grpc/grpc-js";

// service test.Store { rpc Get(google.protobuf.Empty) returns (google.protobuf.Empty); }
const empty = ".google.protobuf.Empty";
const file = {
  name: "store.proto", package: "test", syntax: "proto3", dependency: ["google/protobuf/empty.proto"],
  service: [{ name: "Store", method: [{ name: "Get", inputType: empty, outputType: empty }] }],
};
const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_empty.proto, file] });
const Store = createFileRegistry(set).getService("test.Store");

const server = createSecureServer({ key: readFileSync("tls.key"), cert: readFileSync("tls.pem") });
await new Promise((done) => server.listen(0, "localhost", done));
const { port } = server.address();

const core = new grpc.Client(`localhost:${port}`, grpc.credentials.createSsl());
const nothing = Buffer.alloc(0);
await new Promise((done) =>
  core.makeUnaryRequest("/test.Store/Get", () => nothing, () => ({}), {}, (error) => {
    console.log(`grpc-js, an untrusted certificate: ${grpc.status[error.code]}`);
    done();
  }),
);

const failure = async (baseUrl) => {
  try {
    await createClient(Store, createGrpcTransport({ baseUrl })).get({});
    throw new Error("it must fail");
  } catch (error) {
    return ConnectError.from(error);
  }
};
const untrusted = await failure(`https://localhost:${port}`);
console.log(`connect-node, an untrusted certificate: ${Code[untrusted.code]}, ${untrusted.rawMessage}`);
server.close();
const refused = await failure("http://localhost:1");
console.log(`connect-node, a refused connection: ${Code[refused.code]}`);
process.exit(0);
JS

node calls.mjs | tee seen
diff --unified - seen <<'EXPECTED' || { echo "this has changed" >&2; exit 1; }
grpc-js, an untrusted certificate: UNAVAILABLE
connect-node, an untrusted certificate: Internal, self-signed certificate
connect-node, a refused connection: Unavailable
EXPECTED
