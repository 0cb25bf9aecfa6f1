// A rollout from its plan to its end: steps and guardrails of one's own, the approval of a second caller, and the promotion.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, traffic, waitFor } from "./gateway.mjs";

const keys = { OLGA_KEY: "operator-key-0123456789", LEA_KEY: "lead-key-0123456789abc" };
const callers = `
callers:
  anonymous: {allow: [{models: ['*'], actions: [infer, metadata]}]}
  olga: {keys: ['\${OLGA_KEY}'], allow: [{models: ['*'], actions: [infer, metadata, statistics, route, rollout, admin]}]}
  lea: {keys: ['\${LEA_KEY}'], allow: [{models: ['*'], actions: [metadata, statistics, approve]}]}
`;

let gateway, browser, flow;
before(async () => {
  gateway = await Gateway.start({
    env: keys,
    more: callers,
    edit: (c) =>
      c
        .replace("routes:\n", "routes:\n  flowers:\n    model: iris\n    variants: [{version: 1, weight: 100%}]\n")
        .replace("  iris:\n    columns:", "  iris:\n    rollouts: {approvals: 1}\n    columns:"),
  });
  browser = await launch();
  flow = await traffic(gateway, { also: "flowers" });
});
after(async () => {
  await flow?.stop();
  await browser?.close();
  await gateway?.close();
});

/** signedIn opens a page for a caller. */
async function signedIn(key, path) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await openPage(context, `${gateway.admin}/${path}`);
  await page.goto(`${gateway.admin}/#/signin`);
  await page.locator("input[name=token]").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
  await page.evaluate((to) => (location.hash = to), path);
  return page;
}

async function act(page, name, reason) {
  await page.getByRole("button", { name, exact: true }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(reason);
  await dialog.getByRole("button", { name, exact: true }).click();
}

const asOlga = { headers: { Authorization: `Bearer ${keys.OLGA_KEY}` } };

test("a rollout with steps of one's own is approved by a second caller, and ends completed", async () => {
  const olga = await signedIn(keys.OLGA_KEY, "#/rollouts/flowers");
  await olga.locator("input[name=version]").fill("2");
  await olga.locator("select[name=preset]").selectOption("fast");
  await olga.getByRole("button", { name: "Show the plan" }).click();
  await olga.getByRole("region", { name: "Steps of the plan" }).waitFor();
  await olga.getByText("Steps and guardrails of your own").click();
  await olga.getByRole("button", { name: "Change those of the preset" }).click();
  assert.equal(await olga.locator("input[name=weight-0]").inputValue(), "10");
  await olga.locator("input[name=weight-0]").fill("12.5");
  await olga.locator("input[name=for-0]").fill("3s");
  await olga.getByRole("button", { name: "Remove step 2" }).click();
  await olga.getByRole("button", { name: "Add a step" }).click();
  await olga.locator("input[name=weight-1]").fill("5");
  const own = { min_requests: "20", bake: "2s", "errors.tolerance": "90", "refusals.tolerance": "90", "latency.ratio": "100", "latency.tolerance": "99", "answers.tolerance": "100", "answers.deviation": "1000" };
  for (const [name, text] of Object.entries(own)) await olga.locator(`input[name="${name}"]`).fill(text);
  await olga.locator("select[name=inconclusive]").selectOption("ship");
  await olga.getByRole("button", { name: "Show the plan" }).click();
  await olga.getByText("steps[1].weight", { exact: false }).waitFor(); // the gateway says what is wrong
  await olga.locator("input[name=weight-1]").fill("60");
  await olga.getByRole("button", { name: "Show the plan" }).click();
  const steps = olga.getByRole("region", { name: "Steps of the plan" });
  await steps.getByText("12.5 %").first().waitFor();
  await shot(olga, "plan-own");
  await act(olga, "Start the rollout", "steps of our own");
  await olga.locator("main .state", { hasText: /^awaiting approval$/ }).waitFor();
  const started = await gateway.api("rollouts/flowers", asOlga);
  assert.deepEqual(started.spec.steps, [{ weight: 1250, for: "3s" }, { weight: 6000, for: "3s" }]);
  assert.deepEqual([started.spec.min_requests, started.spec.inconclusive, started.spec.bake, started.spec.errors.tolerance, started.spec.latency.ratio], [20, "ship", "2s", 0.9, 100]);
  assert.equal(await olga.getByRole("button", { name: "Approve", exact: true }).isDisabled(), true);
  await olga.getByText("it needs the action 'approve'", { exact: false }).first().waitFor();
  await shot(olga, "approval");
  const lea = await signedIn(keys.LEA_KEY, "#/rollouts/flowers");
  await lea.locator("main .state", { hasText: /^awaiting approval$/ }).waitFor();
  assert.equal(await lea.getByRole("button", { name: "Abort", exact: true }).isDisabled(), true);
  await act(lea, "Approve", "read and agreed");
  for (const page of [olga, lea]) await page.locator("main .state", { hasText: /^completed$/ }).first().waitFor({ timeout: 180_000 });
  await olga.getByText("1 of 1: lea").waitFor();
  await olga.getByRole("img", { name: "Chart: errors: evidence that the version is worse", exact: false }).waitFor();
  await shot(olga, "completed");
  assert.deepEqual((await gateway.api("routes/flowers", asOlga)).variants.map((v) => [v.version, v.weight]), [[2, 10000]]);
  const events = await gateway.api("journal?subject=rollouts/flowers", asOlga);
  assert.deepEqual(events.filter((e) => ["rollout.started", "rollout.approved"].includes(e.type)).map((e) => [e.type, e.actor, e.reason]), [
    ["rollout.started", "olga", "steps of our own"],
    ["rollout.approved", "lea", "read and agreed"],
  ]);
  assert.ok(events.some((e) => e.type === "rollout.completed"));
  await olga.goto(`${gateway.admin}/#/routes/flowers`);
  await olga.getByRole("link", { name: "v2", exact: true }).first().waitFor();
  assert.deepEqual([...olga.faults, ...lea.faults], []);
});

test("a query of one's own rolls a version back", async () => {
  const asked = [];
  const prometheus = createServer(async (request, answer) => {
    const body = (await request.toArray()).join("");
    asked.push(new URLSearchParams(body || new URL(request.url, "http://prometheus").search).get("query"));
    const data = { resultType: "vector", result: [{ metric: {}, value: [Date.now() / 1000, "9"] }] };
    answer.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ status: "success", data }));
  });
  await new Promise((r) => prometheus.listen(0, "127.0.0.1", r));
  const asking = await Gateway.start({
    more: `prometheus: {url: 'http://127.0.0.1:${prometheus.address().port}'}\n`,
    edit: (c) => c.replace("routes:\n", "routes:\n  flowers:\n    model: iris\n    variants: [{version: 1, weight: 100%}]\n"),
  });
  const requests = await traffic(asking, { also: "flowers" });
  try {
    const page = await openPage(await browser.newContext({ viewport: { width: 1280, height: 900 } }), `${asking.admin}/#/rollouts/flowers`);
    await live(page);
    await page.locator("input[name=version]").fill("2");
    await page.locator("select[name=preset]").selectOption("fast");
    await page.getByText("Steps and guardrails of your own").click();
    await page.getByRole("button", { name: "Add a query" }).click();
    const query = { name: "refunds", query: 'sum(refunds{shop="<b>"})', min: "", max: "5", failures: "2" };
    for (const [key, text] of Object.entries(query)) await page.locator(`input[name="${key}-query-0"]`).fill(text);
    await page.getByRole("button", { name: "Show the plan" }).click();
    await page.getByRole("region", { name: "Steps of the plan" }).waitFor();
    await page.getByText("query:refunds", { exact: false }).first().waitFor(); // the plan says that it has no power
    await act(page, "Start the rollout", "refunds may not rise");
    await page.locator("main .state", { hasText: /^rolled back$/ }).first().waitFor({ timeout: 180_000 });
    const ended = await asking.api("rollouts/flowers");
    assert.deepEqual(ended.spec.queries, [{ name: "refunds", query: query.query, max: 5, failures: 2 }]);
    assert.ok(asked.includes(query.query));
    await page.getByText("refunds", { exact: false }).first().waitFor();
    await shot(page, "query");
    assert.deepEqual((await asking.api("routes/flowers")).variants.map((v) => [v.version, v.weight]), [[1, 10000]]);
    assert.deepEqual(page.faults, []);
  } finally {
    await requests.stop();
    await asking.close();
    prometheus.close();
  }
});
