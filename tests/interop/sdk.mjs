// The official JavaScript SDK at the other end of a pipe. Each line of standard
// input names one call of PresenceApi, or else of the first class that has it:
//   {"host", "token", "method", "positional": [...], "options": {...}}
// and is answered by one line of standard output:
//   {"result"} where the call succeeded, {"error": {"status", "body"}}, or
//   {"lacking": version} where the SDK has no such method.
// A date comes as {"$date": text} and is given to the SDK as a Date object, as
// a program of its users would.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const platformClient = require('purecloud-platform-client-v2');

const client = platformClient.ApiClient.instance;
client.setReturnExtendedResponses(true);

// The class of the SDK that has a method, if there is one.
function api(method) {
  const names = Object.keys(platformClient).filter((name) => name.endsWith('Api'));
  const having = ['PresenceApi', ...names].find((name) => method in platformClient[name].prototype);
  return having && new platformClient[having]();
}

function dates(_, value) {
  return typeof value?.$date === 'string' ? new Date(value.$date) : value;
}

// The version that npm installed; the package does not export its description.
function version() {
  const path = new URL('node_modules/purecloud-platform-client-v2/package.json', import.meta.url);
  return JSON.parse(readFileSync(path)).version;
}

async function call({ host, token, method, positional, options }) {
  client.config.basePath = host;
  client.setAccessToken(token);
  const having = api(method);
  if (!having) return { lacking: version() };
  try {
    const answer = await having[method](...positional, options);
    return { result: answer.body === '' ? null : (answer.body ?? null) };
  } catch (error) {
    return { error: { status: error?.status ?? null, body: error?.body ?? String(error) } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await call(JSON.parse(line, dates))));
}
