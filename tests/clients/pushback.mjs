// How often examples/node-connect/retries.js makes a call whose server asks for a pause. `run` starts it.

import assert from "node:assert/strict";

import { Code, ConnectError } from "../../examples/node-connect/node_modules/@connectrpc/connect/dist/esm/index.js";
import { retriesBy } from "../../examples/node-connect/retries.js";

const retryPolicy = {
  maxAttempts: 3,
  initialBackoff: "0.001s",
  maxBackoff: "0.001s",
  backoffMultiplier: 1,
  retryableStatusCodes: ["UNAVAILABLE"],
};
const retries = retriesBy({ methodConfig: [{ name: [{ service: "a.Service", method: "Read" }], retryPolicy }] });

async function attempts(metadata) {
  let made = 0;
  const call = retries(async () => {
    made += 1;
    throw new ConnectError("unavailable", Code.Unavailable, metadata);
  });
  const request = { stream: false, service: { typeName: "a.Service" }, method: { name: "Read" }, header: new Headers() };
  await assert.rejects(call(request), /unavailable/);
  return made;
}

assert.equal(await attempts(), 3);
// Those that gRPC takes for "do not repeat": https://github.com/grpc/proposal/blob/master/A6-client-retries.md
for (const [pushback, wanted] of [["5", 3], ["0", 3], ["-1", 1], ["soon", 1], ["", 1], ["1.5", 1]]) {
  assert.equal(await attempts({ "grpc-retry-pushback-ms": pushback }), wanted, `grpc-retry-pushback-ms: ${pushback}`);
}
