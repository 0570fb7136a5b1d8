// Starts a gateway on its sandbox, as a developer does, and a browser in front of it.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const BINARY = process.env.PRESENCE_GATEWAY_BIN ?? fail("PRESENCE_GATEWAY_BIN names no gateway: start with tests/page/run");
const BROWSER = process.env.CHROMIUM ?? fail("CHROMIUM names no browser: start with tests/page/run");
export const FIRST = "00000000-0000-4000-8000-000000000001";

function fail(problem) {
    throw new Error(problem);
}

/** Starts a server of the program; returns its first log line, its quickstart, and how to stop it. */
export async function start(args, variables = {}) {
    const { PATH } = process.env;
    const env = { PATH, PRESENCE_GATEWAY_LAME_DUCK: "0s", PRESENCE_GATEWAY_LOG_FORMAT: "json", ...variables };
    const server = spawn(BINARY, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const printed = [];
    const quickstart = new Promise((resolve) => {
        createInterface(server.stdout).on("line", (line) => {
            printed.push(line);
            // The last line. The path of the program may have the word, too.
            if (line.includes("curl")) resolve(printed.join("\n"));
        });
    });
    const ended = new Promise((resolve) => server.once("exit", resolve));
    const first = await new Promise((resolve, reject) => {
        createInterface(server.stderr).on("line", resolve);
        ended.then((code) => reject(new Error(`the gateway ended with ${code} before it served`)));
    });
    const stop = () => (server.kill("SIGTERM"), ended);
    return { serving: JSON.parse(first), quickstart, stop };
}

/** Starts a gateway on its sandbox, on free ports unless variables choose others. */
export async function startGateway(variables = {}) {
    const free = { PRESENCE_GATEWAY_SANDBOX_LISTEN: "127.0.0.1:0" };
    const gateway = await start(["serve", "--sandbox", "--listen", "127.0.0.1:0"], { ...free, ...variables });
    const url = gateway.serving.upstream;
    return { ...gateway, url, ...caller(gateway.serving.address), control: controller(url) };
}

/** Makes calls through a gateway, with `presence-gateway call`. */
function caller(address) {
    const run = async (rpc, request, token = "any") => {
        const args = ["call", rpc, JSON.stringify(request), "--token", token, "--address", address];
        const child = spawn(BINARY, args, { env: {}, stdio: ["ignore", "pipe", "pipe"] });
        let out = "", error = "";
        child.stdout.on("data", (data) => (out += data));
        child.stderr.on("data", (data) => (error += data));
        const code = await new Promise((resolve) => child.once("close", resolve));
        return { code, out, error };
    };
    return {
        /** Returns the response. */
        call: async (...call) => {
            const { code, out, error } = await run(...call);
            return code === 0 ? JSON.parse(out) : fail(`${call[0]}: ${error}`);
        },
        /** Returns the error of a call that must fail. */
        callFails: async (...call) => {
            const { code, out, error } = await run(...call);
            return code === 1 ? error : fail(`${call[0]} ended with ${code}: ${out}${error}`);
        },
    };
}

/** Uses the control endpoints as a program does. */
function controller(url) {
    return async (method, path, body) => {
        const response = await fetch(url + path, { method, body });
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
        return response.json();
    };
}

/** Starts the browser. It has no sandbox of its own for root, who runs it in containers. */
export function startBrowser() {
    const isRoot = process.getuid?.() === 0;
    return chromium.launch({ executablePath: BROWSER, args: isRoot ? ["--no-sandbox"] : [] });
}
