// Draws the page of the sandbox as docs/sandbox.png: a gateway with some calls and a rule.
//
//     node screenshot.mjs FILE [light|dark] [WIDTH] [HEIGHT]

import { startBrowser, startGateway } from "./sandbox.mjs";

const [file, colorScheme = "light", width = "1280", height = "800"] = process.argv.slice(2);
const BUSY = "31fe3bac-dea6-44b7-bed7-47f91660a1a0", MEAL = "3fd96123-badb-4f69-bc03-1b1ccc6d8014";
const user = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

// The default port if it is free: readers see the address that they will have.
const gateway = await startGateway({ PRESENCE_GATEWAY_SANDBOX_LISTEN: "" });
const browser = await startBrowser();
try {
    const change = (number, id, message) => [
        "PatchUserPresencesPurecloud", { userId: user(number), body: { presenceDefinition: { id }, message } },
    ];
    await gateway.call("GetSystempresences", {});
    await gateway.call(...change(2, MEAL, "back at 13:30"));
    await gateway.control("POST", "/sandbox/misbehave", `status=500 method=GET id=${user(60)} times=9\ncut,after method=PATCH path=*/presences/*`);
    await gateway.callFails("GetUserPresencesPurecloud", { userId: "nobody" });
    await gateway.callFails(...change(4, BUSY, "on a call"));
    const everyone = Array.from({ length: 100 }, (_, at) => user(at + 1));
    await gateway.call("GetUsersPresencesPurecloudBulk", { id: everyone, allowPartialResults: true });
    const size = { width: Number(width), height: Number(height) };
    const page = await browser.newPage({ colorScheme, viewport: size, reducedMotion: "reduce" });
    await page.goto(gateway.url);
    await page.getByText("Live", { exact: true }).waitFor();
    await page.screenshot({ path: file });
} finally {
    await browser.close();
    await gateway.stop();
}
