// An interceptor that repeats calls by a gRPC service config, which connect-node does not read.

import { setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Repeats failed unary calls as the service config says, or as the server asks by
 * `grpc-retry-pushback-ms`. It leaves out the config's timeouts: set one for each call.
 */
export function retriesBy({ methodConfig }) {
  const policies = new Map(
    methodConfig.flatMap(({ name, retryPolicy }) =>
      name.map(({ service, method }) => [`${service}/${method}`, retryPolicy]),
    ),
  );
  return (next) => async (request) => {
    const policy = policies.get(`${request.service.typeName}/${request.method.name}`);
    if (request.stream || !policy) return next(request);
    const retryable = policy.retryableStatusCodes.map(codeOf);
    let backoff = milliseconds(policy.initialBackoff);
    for (let attempt = 1; ; attempt++) {
      if (attempt > 1) request.header.set("grpc-previous-rpc-attempts", String(attempt - 1));
      try {
        return await next(request);
      } catch (reason) {
        const error = ConnectError.from(reason);
        const pushback = error.metadata.get("grpc-retry-pushback-ms");
        // A negative value asks for no repetition, and so does one that is no number.
        const isAllowed = pushback === null || /^\d+$/.test(pushback);
        if (!retryable.includes(error.code) || attempt >= policy.maxAttempts || !isAllowed) throw error;
        const jitter = 0.8 + 0.4 * Math.random();
        await sleep(pushback === null ? backoff * jitter : Number(pushback), undefined, { signal: request.signal });
        backoff = Math.min(backoff * policy.backoffMultiplier, milliseconds(policy.maxBackoff));
      }
    }
  };
}

/** Returns the code of a name in gRPC's style: UNAVAILABLE is Code.Unavailable. */
function codeOf(name) {
  return Code[name.toLowerCase().replace(/(?:^|_)(.)/g, (_, letter) => letter.toUpperCase())];
}

/** Returns a duration of the service config, for example "0.2s", in milliseconds. */
function milliseconds(duration) {
  return Number.parseFloat(duration) * 1000;
}
