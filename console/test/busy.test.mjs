// A gateway that refuses for now, forgets nothing, and tells a lot at once; and a token that ends in the middle of a change.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { issuer } from "./front.mjs";
import { Gateway, waitFor } from "./gateway.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

/** open shows a page of a gateway. */
async function open(gateway, path) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await openPage(context, `${gateway.admin}/${path}`);
  await live(page);
  return page;
}

test("answers 503 and 428 leave the change as it was, and it can be sent again", async () => {
  const gateway = await Gateway.start();
  try {
    const page = await open(gateway, "#/routes/iris");
    await page.getByRole("slider").focus();
    await page.keyboard.press("ArrowLeft");
    await page.getByText("100 of 10,000 slots move").waitFor();
    const draft = page.locator(".draft");
    await draft.getByLabel("Reason").fill("through a busy time");
    const put = "**/api/v1/routes/iris";
    // A gateway that cannot write its journal in time, or that stops, answers so.
    const busy = { status: 503, contentType: "application/json", headers: { "Retry-After": "1" }, body: JSON.stringify({ error: "the gateway is shutting down" }) };
    await page.route(put, (route) => (route.request().method() === "PUT" ? route.fulfill(busy) : route.continue()));
    await draft.getByRole("button", { name: "Apply" }).click();
    await draft.getByRole("alert").getByText("The gateway is busy.").waitFor();
    await draft.getByText("the gateway is shutting down", { exact: false }).waitFor();
    await shot(page, "busy");
    await page.unroute(put);
    // The gateway itself answers 428 to a change that does not say of which revision it is.
    await page.route(put, (route) => {
      const { "if-match": _, ...headers } = route.request().headers();
      return route.request().method() === "PUT" ? route.continue({ headers }) : route.continue();
    });
    const answered = page.waitForResponse((r) => r.request().method() === "PUT");
    await draft.getByRole("button", { name: "Apply" }).click();
    assert.equal((await answered).status(), 428);
    await draft.getByRole("alert").getByText("The revision is missing.").waitFor();
    assert.equal(await draft.getByLabel("Reason").inputValue(), "through a busy time");
    assert.equal(await page.getByRole("slider").getAttribute("aria-valuenow"), "94");
    await page.unroute(put);
    await draft.getByRole("button", { name: "Apply" }).click();
    await page.getByText("revision 2", { exact: true }).waitFor();
    assert.deepEqual((await gateway.api("routes/iris")).variants.map((v) => v.weight), [9400, 600]);
    assert.deepEqual(page.faults, []);
  } finally {
    await gateway.close();
  }
});

test("a gateway with too many watchers says so, and the page connects once there is room", async () => {
  const gateway = await Gateway.start({ edit: (c) => c.replace("admin:\n", "admin:\n  max_watchers: 1\n") });
  try {
    const first = await open(gateway, "#/drift"); // it has one stream
    const context = await browser.newContext();
    const second = await openPage(context, `${gateway.admin}/#/drift`);
    await second.locator('#live[data-state="lost"]').waitFor();
    await second.getByRole("alert").getByText("Next try in", { exact: false }).waitFor();
    await first.close();
    await live(second);
    await second.getByRole("heading", { name: "Drift", exact: true }).waitFor();
    assert.deepEqual([...first.faults, ...second.faults], []);
  } finally {
    await gateway.close();
  }
});

test("a longer history is asked of Prometheus, and its failure is said", async () => {
  let broken = false;
  const asked = [];
  const prometheus = createServer((request, answer) => {
    asked.push(request.url);
    request.resume();
    const body = { status: "success", data: { resultType: "matrix", result: [] } };
    answer.writeHead(broken ? 500 : 200, { "Content-Type": "application/json" }).end(broken ? "{}" : JSON.stringify(body));
  });
  await new Promise((r) => prometheus.listen(0, "127.0.0.1", r));
  const gateway = await Gateway.start({ more: `prometheus: {url: 'http://127.0.0.1:${prometheus.address().port}'}\n` });
  try {
    const page = await open(gateway, "#/routes/iris");
    const span = page.locator("select[name=span]");
    await waitFor("spans beyond an hour", async () => (await span.locator("option").allInnerTexts()).includes("30 days"));
    assert.equal(asked.length, 0, "an hour is in memory");
    await span.selectOption("168h");
    await waitFor("a query", async () => asked.some((path) => path.includes("/query_range")));
    assert.equal(await page.getByRole("alert").count(), 0);
    broken = true;
    await span.selectOption("24h");
    await page.getByRole("alert").first().waitFor();
    await span.selectOption("1h");
    await waitFor("a page without an error", async () => (await page.getByRole("alert").count()) === 0);
    assert.deepEqual(page.faults, []);
  } finally {
    await gateway.close();
    prometheus.closeAllConnections();
    prometheus.close();
  }
});

test("10,000 events at once leave a page that works, and lists them all", async () => {
  const gateway = await Gateway.start();
  const routes = Array.from({ length: 50 }, (_, i) => `burst-${i}`);
  const each = 200;
  try {
    const page = await open(gateway, "#/journal");
    const overview = await open(gateway, "");
    const begun = Date.now();
    await Promise.all(
      routes.map(async (name) => {
        for (let n = 0; n < each; n++) {
          const body = JSON.stringify({ model: "iris", variants: [{ version: 1, weight: 10_000 - (n % 9) - 1, role: "stable" }, { version: 2, weight: (n % 9) + 1, role: "canary" }] });
          await gateway.api(`routes/${name}`, { method: "PUT", headers: { "If-Match": `"${n}"`, "Sluice-Change-Reason": `change ${n}` }, body });
        }
      }),
    );
    console.log(`10,000 changes: ${Date.now() - begun} ms`);
    const [last] = await gateway.api("journal?newest=true&limit=1");
    assert.ok(last.seq >= 10_000);
    await page.locator("input[name=subject]").fill("routes/burst-7");
    await page.getByText(`${each} events`, { exact: true }).waitFor();
    await page.locator("input[name=subject]").fill("");
    await page.getByRole("button", { name: `Show event ${last.seq},`, exact: false }).waitFor();
    assert.ok((await page.locator("tbody tr").count()) < 100, "only rows in sight are in the document");
    await shot(page, "burst");
    await overview.getByRole("searchbox").fill("burst-49");
    await overview.getByRole("link", { name: "burst-49", exact: true }).waitFor();
    for (const p of [page, overview]) {
      await live(p);
      assert.deepEqual(p.faults, []);
    }
  } finally {
    await gateway.close();
  }
});

test("a token that ends while someone drags asks for another one, and nothing is lost", async () => {
  const folder = await mkdtemp(join(tmpdir(), "console-jwt-"));
  const from = await issuer(folder);
  const gateway = await Gateway.start({
    more: `
auth:
  required: true
  jwt: [{issuer: '${from.name}', audience: sluice, jwks_file: ${from.file}, leeway: 0s}]
callers:
  olga: {jwt: [{issuer: '${from.name}', subject: olga}], allow: [{models: ['*'], actions: [infer, metadata, statistics, route, rollout, signal, load, admin]}]}
`,
  });
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await openPage(context, `${gateway.admin}/#/routes/iris`);
    const signIn = async (seconds) => {
      await page.locator("input[name=token]").fill(from.token("olga", seconds));
      await page.getByRole("button", { name: "Sign in" }).click();
      await live(page);
    };
    await signIn(30);
    const bar = await page.locator(".slots").boundingBox();
    const grip = await page.getByRole("slider").boundingBox();
    await page.mouse.move(grip.x + grip.width / 2, grip.y + grip.height / 2);
    await page.mouse.down();
    await page.mouse.move(bar.x + bar.width * 0.8, grip.y + 5);
    await page.locator('#live[data-state="refused"]').waitFor();
    await page.mouse.move(bar.x + bar.width * 0.5, grip.y + 5);
    await page.mouse.up();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.getByText("A change that you have begun is kept", { exact: false }).waitFor();
    await shot(page, "token-ended");
    await signIn(3600);
    assert.equal(await page.getByRole("slider").getAttribute("aria-valuenow"), "80", "the drag ended with the token");
    await page.getByText("1,500 of 10,000 slots move").waitFor();
    await page.locator(".draft").getByLabel("Reason").fill("with another token");
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("revision 2", { exact: true }).waitFor();
    const authorization = { headers: { Authorization: `Bearer ${from.token("olga", 60)}` } };
    assert.deepEqual((await gateway.api("routes/iris", authorization)).variants.map((v) => v.weight), [8000, 2000]);
    await waitFor("the event in the journal", async () => (await gateway.api("journal?subject=routes/iris", authorization)).some((e) => e.actor === "olga" && e.reason === "with another token"));
    assert.deepEqual(page.faults, []);
  } finally {
    await gateway.close();
    await rm(folder, { recursive: true, force: true });
  }
});
