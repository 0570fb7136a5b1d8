// Reads resources of other projects' kinds, a JSON list, from the standard input
// and tells what is wrong with each: a field that its kind does not have, by the
// types that were made of its definition; a value that is not allowed, by the
// checks that were.
import { readFileSync } from "node:fs";
import { problemsOfTypes } from "./types.mjs";

const PACKAGES = {
  "cert-manager.io/v1": "@kubernetes-models/cert-manager/cert-manager.io/v1",
  "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
  "networking.istio.io/v1": "@kubernetes-models/istio/networking.istio.io/v1",
};

const resources = JSON.parse(readFileSync(0, "utf8"));
const problems = [];
const sources = [];

for (const resource of resources) {
  const { apiVersion, kind, metadata } = resource;
  const name = `${kind} ${metadata?.name}`;
  const from = PACKAGES[apiVersion];
  const Model = from && (await import(from))[kind];
  if (!Model) {
    problems.push(`${name}: there is no schema for ${apiVersion} ${kind}`);
    continue;
  }
  sources.push(
    `import type { I${kind} as T${sources.length} } from "${from}";\n` +
      `const value${sources.length}: T${sources.length} = ${JSON.stringify(resource)};\n`,
  );
  try {
    new Model(resource).validate();
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
}

problems.push(...problemsOfTypes(sources.join("")));

console.log(JSON.stringify(problems));
