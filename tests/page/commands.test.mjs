// The commands that the sandbox shows work as pasted, in every way to start it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { test } from "node:test";
import { BINARY, FIRST, start, startBrowser, startGateway } from "./sandbox.mjs";

const PORT = 8080;

/** Runs commands as a shell does that they are pasted into; returns their output. */
function paste(commands) {
    const { status, stdout, stderr } = spawnSync("sh", ["-euc", commands], { encoding: "utf8", env: { PATH: process.env.PATH } });
    assert.equal(status, 0, `${commands}\n${stdout}${stderr}`);
    return stdout;
}

/** The commands of the text at a URL, each with its purpose. */
async function commands(url) {
    const text = await (await fetch(url)).text();
    const [, pasted] = text.match(/^Commands to paste:\n([^]*?)\nBehaviours are/m);
    return [...pasted.matchAll(/^# (.*)\n((?: {2}.*\n)+)/gm)].map(([, purpose, command]) => ({ purpose, command }));
}

/** Pastes all commands, and checks what each does. */
async function pasteAll(url) {
    const found = await commands(url);
    const expected = {
        "adds the user of the next commands": (out) => JSON.parse(out).users.includes(FIRST),
        "reads a presence through the gateway": (out) => JSON.parse(out).presenceDefinition.systemPresence === "Available",
        "reads a presence": (out) => JSON.parse(out).presenceDefinition.systemPresence === "Available",
        "sets a presence, as if the user had": (out) => JSON.parse(out).name === "Busy",
        "lets the next two reads fail, also behind a gateway, which repeats no read after a 500": (out) => JSON.parse(out).rules[0].times === 2,
        "lets one request fail that does not pass a gateway": (out) => JSON.parse(out).status === 500,
        "lists the latest requests": (out) => JSON.parse(out).requests.at(-1).misbehaved === "status=500",
        "resets everything": (out) => JSON.parse(out).reset,
    };
    for (const { purpose, command } of found) {
        const out = paste(command);
        assert.ok(expected[purpose]?.(out), `${purpose}: ${command}\n${out}`);
    }
    return found.map(({ purpose }) => purpose);
}

test("those of a gateway's sandbox work, by the default port or the next free one", async () => {
    const gateway = await startGateway({ PRESENCE_GATEWAY_SANDBOX_LISTEN: "" });
    try {
        const { hostname, port } = new URL(gateway.url);
        assert.equal(hostname, "127.0.0.1");
        assert.ok(port >= PORT && port < PORT + 100, port);
        assert.ok((await gateway.quickstart).includes(`${gateway.url}/\n`), await gateway.quickstart);
        const purposes = await pasteAll(`${gateway.url}/sandbox`);
        assert.deepEqual(purposes.slice(0, 2), ["reads a presence through the gateway", "reads a presence"]);
        // By the name under which a browser or a tunnel reaches it.
        await pasteAll(`http://localhost:${port}/`);
    } finally {
        await gateway.stop();
    }
});

test("those of a sandbox alone work, even without users", async () => {
    const sandbox = await start(["sandbox", "--listen", "127.0.0.1:0", "--users", "0"]);
    try {
        const purposes = await pasteAll(`http://${sandbox.serving.address}/sandbox`);
        assert.deepEqual(purposes.slice(0, 2), ["adds the user of the next commands", "reads a presence"]);
    } finally {
        await sandbox.stop();
    }
});

test("those of the page work", async () => {
    const gateway = await startGateway();
    const browser = await startBrowser();
    try {
        const page = await browser.newPage();
        await page.goto(gateway.url);
        await page.getByText("No requests yet.").waitFor();
        const shown = [];
        for (const id of ["#gateway-call", "#curl"]) shown.push(await page.locator(id).innerText());
        assert.match(shown[0], / call GetUserPresencesPurecloud /);
        for (const command of shown) {
            assert.equal(JSON.parse(paste(command)).presenceDefinition.systemPresence, "Available");
        }
        await page.locator("#requests", { hasText: "/presences/purecloud" }).waitFor();
    } finally {
        await browser.close();
        await gateway.stop();
    }
});

test("the page of a sandbox alone shows no command for a gateway", async () => {
    const sandbox = await start(["sandbox", "--listen", "127.0.0.1:0"]);
    const browser = await startBrowser();
    try {
        const page = await browser.newPage();
        await page.goto(`http://${sandbox.serving.address}`);
        await page.getByText("Call the sandbox itself:").waitFor();
        assert.equal(await page.getByText("Call the gateway:").isVisible(), false);
    } finally {
        await browser.close();
        await sandbox.stop();
    }
});

test("a read that the text lets fail fails through the gateway, too", async () => {
    const gateway = await startGateway();
    try {
        const found = await commands(`${gateway.url}/sandbox`);
        paste(found.find(({ purpose }) => purpose.includes("two reads fail")).command);
        for (let read = 0; read < 2; read++) {
            assert.match(await gateway.callFails("GetUserPresencesPurecloud", { userId: FIRST }), /INTERNAL/);
        }
        await gateway.call("GetUserPresencesPurecloud", { userId: FIRST });
    } finally {
        await gateway.stop();
    }
});

test("those of the quickstart work", async () => {
    const gateway = await startGateway();
    try {
        const printed = await gateway.quickstart;
        const [, call] = printed.match(/\n\n( {2}\S+ call [^]*?)\n\n/);
        assert.equal(JSON.parse(paste(call)).presenceDefinition.systemPresence, "Available");
        const [, curl] = printed.match(/(curl \S+)/);
        assert.match(paste(curl.replace("curl", "curl -s")), /Commands to paste/);
    } finally {
        await gateway.stop();
    }
});

test("many gateways at a time each get a port of their own", async () => {
    const gateways = await Promise.all(Array.from({ length: 8 }, () => startGateway({ PRESENCE_GATEWAY_SANDBOX_LISTEN: "" })));
    try {
        assert.equal(new Set(gateways.map(({ url }) => url)).size, gateways.length);
        for (const { call } of gateways) await call("GetSystempresences", {});
    } finally {
        await Promise.all(gateways.map(({ stop }) => stop()));
    }
});

test("an address that is configured and taken is an error", async () => {
    const taken = createServer();
    await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const address = `127.0.0.1:${taken.address().port}`;
    const { status, stderr } = spawnSync(BINARY, ["serve", "--sandbox", "--listen", "127.0.0.1:0"], {
        encoding: "utf8", env: { PRESENCE_GATEWAY_SANDBOX_LISTEN: address },
    });
    taken.close();
    assert.equal(status, 64);
    assert.match(stderr, new RegExp(`PRESENCE_GATEWAY_SANDBOX_LISTEN: cannot listen on ${address}: .*another port`));
});
