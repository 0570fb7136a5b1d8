// The official JavaScript SDK at the other end of a pipe. Each line of standard
// input names one call of PresenceApi, or else of the first class that has it:
//   {"host", "token", "method", "positional": [...], "options": {...}}
// and is answered by one line of standard output:
//   {"result"} where the call succeeded, or {"error": {"status", "body"}}.
// Dates are given to the SDK as Date objects, as a program of its users would.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const platformClient = createRequire(import.meta.url)('purecloud-platform-client-v2');

const client = platformClient.ApiClient.instance;
client.setReturnExtendedResponses(true);

// The class of the SDK that has a method.
function api(method) {
  const names = Object.keys(platformClient).filter((name) => name.endsWith('Api'));
  const having = ['PresenceApi', ...names].find((name) => method in platformClient[name].prototype);
  return new platformClient[having]();
}

function dates(key, value) {
  return key.endsWith('Date') && typeof value === 'string' ? new Date(value) : value;
}

async function call({ host, token, method, positional, options }) {
  client.config.basePath = host;
  client.setAccessToken(token);
  try {
    const answer = await api(method)[method](...positional, options);
    return { result: answer.body === '' ? null : (answer.body ?? null) };
  } catch (error) {
    return { error: { status: error?.status ?? null, body: error?.body ?? String(error) } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await call(JSON.parse(line, dates))));
}
