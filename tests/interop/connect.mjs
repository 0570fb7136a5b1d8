// One call with connect-node, whose stubs are made from a descriptor set at run time:
//
//     node connect.mjs SET ADDRESS METHOD REQUEST [TIMEOUT IN MS]
//
// prints the code that the call ended with, by its name in connect-node, or `ok`.

import { readFileSync } from "node:fs";

import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

const [set, address, method, request, timeout] = process.argv.slice(2);

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(set)));
const service = registry.getService("genesys.presence.v1.PresenceService");
const client = createClient(service, createGrpcTransport({ baseUrl: `http://${address}` }));
const options = { headers: { authorization: "Bearer connect" }, timeoutMs: timeout && Number(timeout) };
try {
  await client[method](JSON.parse(request), options);
  console.log("ok");
} catch (error) {
  console.log(Code[ConnectError.from(error).code]);
}
process.exit(0);
