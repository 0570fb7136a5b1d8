// The page of the sandbox in a browser, in front of a real gateway.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { FIRST, startBrowser, startGateway } from "./sandbox.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser, gateway, page, problems, hosts;

before(async () => {
    browser = await startBrowser();
    gateway = await startGateway();
});

after(async () => {
    await browser?.close();
    await gateway?.stop();
});

beforeEach(async () => {
    await gateway.control("POST", "/sandbox/reset");
    page = await open();
});

afterEach(async () => {
    await page.context().close();
    assert.deepEqual(problems, [], "the console has errors");
    assert.deepEqual([...hosts], [new URL(gateway.url).host], "the page sent requests to other hosts");
});

/** Opens the page, and records errors and the hosts of requests. */
async function open(options = {}) {
    problems = [];
    hosts = new Set();
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const opened = await context.newPage();
    opened.setDefaultTimeout(15_000);
    opened.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
    opened.on("pageerror", (error) => problems.push(String(error)));
    opened.on("request", (request) => request.url().startsWith("data:") || hosts.add(new URL(request.url()).host));
    await opened.goto(gateway.url);
    await opened.getByText("Live", { exact: true }).waitFor();
    return opened;
}

const row = (table, text) => page.locator(`#${table} > *`, { hasText: text });
const selected = (id) => row("users", id).locator("select").evaluate((select) => select.selectedOptions[0].text);

/** Presses Tab until this has the focus. */
async function tabTo(locator) {
    for (let pressed = 0; pressed < 20; pressed++) {
        if (await locator.evaluate((element) => element === document.activeElement)) return;
        await page.keyboard.press("Tab");
    }
    assert.fail(`Tab does not reach ${locator}`);
}

test("it lists the users with their presences", async () => {
    assert.equal(await page.locator("#users tr").count(), 100);
    assert.equal(await selected(FIRST), "Available");
    assert.equal(await selected("00000000-0000-4000-8000-000000000009"), "On Queue");
});

test("a change through the gateway appears without a reload, with its request", async () => {
    await gateway.call("PatchUserPresencesPurecloud", {
        userId: FIRST,
        body: { presenceDefinition: { id: "3fd96123-badb-4f69-bc03-1b1ccc6d8014" }, message: "gone for lunch" },
    });
    await row("users", "gone for lunch").waitFor();
    assert.equal(await selected(FIRST), "Meal");
    const request = row("requests", "PATCH");
    await request.getByText("patch_user_presences_purecloud").waitFor();
    await request.getByText("200", { exact: true }).waitFor();
});

test("a token is never shown", async () => {
    await gateway.call("GetSystempresences", {}, "a-secret-token");
    await row("requests", "/api/v2/systempresences").getByText("token-").waitFor();
    assert.doesNotMatch(await page.content(), /a-secret-token/);
});

test("a rule is added, applied and removed with the keyboard alone", async () => {
    const input = page.getByLabel("New rule");
    await tabTo(page.getByRole("link", { name: "Skip to a new rule" }));
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.id === "rule");
    await page.keyboard.type("status=400,code=told.by.a.rule method=GET path=/systempresences");
    await page.keyboard.press("Enter");
    const rule = row("rules", "told.by.a.rule");
    await rule.waitFor();
    assert.equal(await input.inputValue(), "");

    assert.match(await gateway.callFails("GetSystempresences", {}), /TOLD_BY_A_RULE/);
    await rule.getByText("applied once").waitFor();
    await row("requests", "misbehaved: status=400,code=told.by.a.rule").getByText("400", { exact: true }).waitFor();

    await tabTo(rule.getByRole("button", { name: "Remove the rule status=400" }));
    await page.keyboard.press("Enter");
    await rule.waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement.id === "rule");
    await gateway.call("GetSystempresences", {});
});

test("a wrong rule shows what is wrong beside the form, until a right one is added", async () => {
    const input = page.getByLabel("New rule");
    for (const [rule, wrong] of [
        ["explode", "`explode` is no behaviour. There are status, code, retry-after, "],
        ["status=99", "`status=99` is not a whole number from 200 to 599"],
        ["cut colour=red", "`colour=red` is no selector. There are method=, path=, id=, token=, on=, channel=, times=, after=."],
        ["status=503, path=/x", "nothing follows the last comma"],
        ["status=503,times=1", "put a space before it, not a comma"],
        ["", "There is no rule here."],
    ]) {
        await input.fill(rule);
        await input.press("Enter");
        const alert = page.getByRole("alert").filter({ hasText: wrong });
        await alert.waitFor();
        assert.ok((await alert.innerText()).length < 400, "the whole grammar is not repeated");
        assert.equal(await input.getAttribute("aria-invalid"), "true");
        assert.equal(await input.inputValue(), rule, "what was typed stays");
        assert.deepEqual((await gateway.control("GET", "/sandbox/misbehave")).rules, []);
        problems = problems.filter((problem) => !problem.includes("status of 400"));
    }
    await page.getByRole("button", { name: "status=500 method=GET times=1" }).click();
    await input.press("Enter");
    await row("rules", "status=500 method=GET times=1").waitFor();
    assert.equal(await page.locator("#wrong").textContent(), "");
});

test("a caller of the gateway sees the effect of each suggested rule", async () => {
    const readFails = () => gateway.callFails("GetUserPresencesPurecloud", { userId: FIRST });
    const failedPatch = { userId: FIRST, body: { message: "lost" } };
    const takes = async (seconds) => {
        const start = performance.now();
        // The gateway lets a token wait after a 429, so no other test may use it.
        await gateway.call("GetUserPresencesPurecloud", { userId: FIRST }, "slow");
        const taken = (performance.now() - start) / 1000;
        assert.ok(taken >= seconds, `it took ${taken} seconds`);
    };
    const effects = {
        "status=500 method=GET times=1": async () => assert.match(await readFails(), /INTERNAL/),
        "delay=3s times=1": () => takes(3),
        "cut,after method=PATCH times=1": async () =>
            assert.match(await gateway.callFails("PatchUserPresencesPurecloud", failedPatch), /OUTCOME_UNKNOWN/),
        [`status=500 id=${FIRST} times=1`]: async () => {
            const ids = (await gateway.control("GET", "/sandbox/users")).users.reverse();
            const { presences, failures } = await gateway.call("GetUsersPresencesPurecloudBulk", { id: ids, allowPartialResults: true });
            assert.equal(presences.length, 50);
            assert.deepEqual(failures.map((failure) => failure.ids), [ids.slice(50)], "the other batch does not fail");
        },
        "retry-after=5 times=1": () => takes(5),
    };
    const chips = page.getByRole("group", { name: "Examples" }).getByRole("button");
    assert.deepEqual((await chips.allInnerTexts()).sort(), Object.keys(effects).sort());
    for (const [rule, hasEffect] of Object.entries(effects)) {
        await page.getByRole("button", { name: rule, exact: true }).click();
        await page.getByLabel("New rule").press("Enter");
        await row("rules", rule).waitFor();
        await hasEffect();
        assert.deepEqual((await gateway.control("GET", "/sandbox/misbehave")).rules, [], `${rule} applied`);
    }
});

test("the ids of a bulk read are behind their count, which the keyboard opens", async () => {
    const ids = (await gateway.control("GET", "/sandbox/users")).users.slice(0, 50);
    await gateway.call("GetUsersPresencesPurecloudBulk", { id: ids });
    const request = row("requests", "/api/v2/users/presences/purecloud/bulk");
    const last = request.getByText(ids.at(-1));
    const count = request.getByText("50 ids", { exact: true });
    await count.waitFor();
    assert.ok((await request.boundingBox()).height < 100, "the row is short");
    assert.equal(await last.isVisible(), false);
    await page.getByRole("link", { name: "Skip to requests" }).press("Enter");
    await tabTo(count);
    await page.keyboard.press("Enter");
    await last.waitFor();
    // It stays open while other requests come.
    await gateway.call("GetSystempresences", {});
    await row("requests", "/api/v2/systempresences").waitFor();
    assert.equal(await last.isVisible(), true);
});

test("no heading of a column breaks, at any width", async () => {
    await gateway.call("GetUsersPresencesPurecloudBulk", { id: [FIRST] });
    await row("requests", "bulk").waitFor();
    for (const width of [390, 900, 1100, 1300, 1920]) {
        await page.setViewportSize({ width, height: 800 });
        const heights = await page.locator("th:visible").evaluateAll((all) => all.map((th) => th.getBoundingClientRect().height));
        assert.equal(new Set(heights).size, 1, `${width}: ${heights}`);
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wider <= 0, `the page is ${wider} pixels wider than ${width}`);
    }
});

test("the grammar is explained", async () => {
    await page.getByText("All behaviours and selectors").click();
    const { behaviours, selectors, notificationBehaviours, occasions } = await gateway.control("GET", "/sandbox/grammar");
    for (const { written, effect } of [...behaviours, ...selectors, ...notificationBehaviours, ...occasions]) {
        // Some are both of responses and of notifications.
        await page.locator("#grammar").getByText(written, { exact: true }).first().waitFor();
        await page.locator("#grammar").getByText(effect, { exact: true }).first().waitFor();
    }
});

test("notification channels are behind their count", async () => {
    const api = (path, body) => fetch(`${gateway.url}/api/v2/notifications/channels${path}`, {
        method: "POST", body: JSON.stringify(body), headers: { authorization: "Bearer any", "content-type": "application/json" },
    }).then((response) => response.json());
    assert.ok(await page.locator("#channels").isHidden());
    const { id } = await api("", {});
    await api(`/${id}/subscriptions`, [{ id: `v2.users.${FIRST}.presence` }]);
    await page.getByText("1 notification channel, 0 connected").click();
    await page.locator("#channel-list").getByText(id).waitFor();
    await page.getByText("not connected, 1 topic, 0 events, 0 lost").waitFor();
    await gateway.control("PUT", `/sandbox/presences/${FIRST}/PURECLOUD`, "Busy");
    await page.getByText("not connected, 1 topic, 0 events, 1 lost").waitFor();
});

test("a presence is changed by its select", async () => {
    await row("users", FIRST).locator("select").selectOption("Busy");
    await page.getByText(`${FIRST} is Busy now.`).waitFor();
    const read = await gateway.call("GetUserPresencesPurecloud", { userId: FIRST });
    assert.equal(read.presenceDefinition.systemPresence, "Busy");
});

test("a reset is asked for, and restores the start", async () => {
    await gateway.control("PUT", `/sandbox/presences/${FIRST}/PURECLOUD`, "Busy");
    await gateway.control("POST", "/sandbox/misbehave", "cut token=nobody");
    await gateway.call("GetSystempresences", {});
    await row("rules", "cut token=").waitFor();
    await row("requests", "/api/v2/systempresences").waitFor();

    await page.getByRole("button", { name: "Reset…" }).press("Enter");
    const dialog = page.getByRole("dialog", { name: "Reset the sandbox?" });
    await dialog.getByRole("button", { name: "Cancel" }).press("Enter");
    assert.equal((await gateway.control("GET", "/sandbox/misbehave")).rules.length, 1);
    await page.getByRole("button", { name: "Reset…" }).press("Enter");
    await dialog.getByRole("button", { name: "Reset" }).press("Enter");
    await page.getByText("The sandbox is reset.").waitFor();
    await page.getByText("No requests yet.").waitFor();
    assert.equal(await selected(FIRST), "Available");
    assert.deepEqual((await gateway.control("GET", "/sandbox/misbehave")).rules, []);
});

test("a filter finds users beyond the first hundred", async () => {
    const ids = Array.from({ length: 150 }, (_, number) => `added-${number}`);
    await gateway.control("POST", "/sandbox/users", ids.join(" "));
    await page.getByText("150 more. Filter").waitFor();
    await page.getByLabel("Filter").fill("added-149");
    await row("users", "added-149").waitFor();
    await page.waitForFunction(() => document.querySelectorAll("#users tr").length === 1);
});

test("texts of requests and of users are never read as HTML", async () => {
    const html = "<img src=x onerror=alert(1)>";
    await gateway.control("POST", "/sandbox/users", JSON.stringify([html]));
    const bearer = { Authorization: "Bearer any", "Content-Type": "application/json" };
    const path = `/api/v2/users/${encodeURIComponent(html)}/presences/purecloud`;
    const body = JSON.stringify({ message: html });
    await fetch(gateway.url + path, { method: "PATCH", headers: bearer, body });
    await fetch(`${gateway.url}/api/v2/users/presences/purecloud/bulk?id=${encodeURIComponent(html)}`, { headers: bearer });
    await page.getByLabel("Filter").fill(html);
    await row("users", html).locator("div", { hasText: html }).first().waitFor();
    await row("requests", "bulk").waitFor();
    assert.equal(await page.locator("main img").count(), 0);
});

test("it can be paused, and stops polling then", async () => {
    await page.getByRole("button", { name: "Pause", pressed: false }).click();
    await page.getByText("Paused", { exact: true }).waitFor();
    const polls = [];
    page.on("request", (request) => polls.push(request.url()));
    await gateway.call("GetSystempresences", {});
    await page.getByRole("button", { name: "Pause", pressed: true }).waitFor();
    assert.deepEqual(polls, []);
    await page.getByRole("button", { name: "Pause" }).click();
    await row("requests", "/api/v2/systempresences").waitFor();
});

test("it shows a lost connection, and finds the sandbox again", async () => {
    await page.context().setOffline(true);
    await page.getByText("No connection", { exact: true }).waitFor();
    await page.context().setOffline(false);
    await page.getByText("Live", { exact: true }).waitFor();
    problems = problems.filter((problem) => !problem.includes("ERR_INTERNET_DISCONNECTED"));
});

for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [{ width: 1280, height: 800 }, { width: 390, height: 800 }]) {
        test(`it is accessible, ${colorScheme}, ${viewport.width} pixels wide`, async () => {
            await page.context().close();
            page = await open({ colorScheme, viewport, reducedMotion: "reduce" });
            await gateway.control("POST", "/sandbox/misbehave", "status=503 method=GET times=1\ndelay=3s token=nobody");
            for (const rpc of ["GetSystempresences", "GetPresenceSettings"]) await gateway.call(rpc, {});
            await gateway.callFails("GetUserPresencesPurecloud", { userId: "nobody" });
            await row("requests", "404").waitFor();
            // Users 1 and 10 to 19, with all presences: axe takes a while for a hundred.
            await page.getByLabel("Filter").fill("00000000001");
            await row("users", "000000000020").waitFor({ state: "detached" });
            await page.getByText("All behaviours and selectors").click();
            await page.getByLabel("New rule").fill("explode");
            await page.getByLabel("New rule").press("Enter");
            await page.getByRole("alert").filter({ hasText: "explode" }).waitFor();
            problems = problems.filter((problem) => !problem.includes("status of 400"));
            await check();
            const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
            assert.ok(wider <= 0, `the page is ${wider} pixels wider than the window`);
            await page.getByRole("button", { name: "Reset…" }).click();
            await check();
        });
    }
}

/** Checks the page as it is now with axe. */
async function check() {
    const { violations, passes } = await page.evaluate(`${axe}; axe.run()`);
    assert.ok(passes.length > 5, "axe checked something");
    assert.deepEqual(violations.map(({ id, nodes }) => [id, ...nodes.map((node) => node.html)]), []);
}

test("a page of another origin can neither frame it nor change the sandbox", async () => {
    const server = createServer((_, response) => {
        response.setHeader("content-type", "text/html");
        response.end(`<iframe src="${gateway.url}"></iframe>`);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const context = await browser.newContext();
    try {
        const foreign = await context.newPage();
        await foreign.goto(`http://127.0.0.1:${server.address().port}/`);
        assert.doesNotMatch(await foreign.frames()[1].content(), /Presence sandbox/);
        await foreign.evaluate((url) => fetch(`${url}/sandbox/misbehave`, { method: "POST", mode: "no-cors", body: "cut" }), gateway.url);
        assert.deepEqual((await gateway.control("GET", "/sandbox/misbehave")).rules, []);
    } finally {
        await context.close();
        server.close();
    }
});
