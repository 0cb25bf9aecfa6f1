// 5,000 models: the table keeps few rows in the document, and search and order work. Times are printed, not asserted.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, openPage, shot } from "./browser.mjs";
import { Gateway } from "./gateway.mjs";

let gateway, browser;
before(async () => {
  gateway = await Gateway.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gateway?.close();
});

const nameOf = (i) => `model-${String(i).padStart(4, "0")}`;

/** states is a stream that has many models, and names with markup. */
function states(n) {
  const names = [...Array.from({ length: n }, (_, i) => nameOf(i)), "<img src=x onerror=alert(1)>"];
  const models = names.map((name, i) => ({ name, version: 1, state: i % 500 === 7 ? "UNAVAILABLE" : "READY", role: "live", reason: "<script>alert(1)</script>" }));
  const routes = names.map((name) => ({ name, model: name, revision: 0, seed: name, shadows: [], variants: [{ version: 1, weight: 10000, role: "stable" }] }));
  const state = { at: new Date().toISOString(), whole: true, models, routes, rollouts: [], signals: [], drift: [] };
  return `event: start\ndata: {"after":0,"last":0}\n\nevent: state\ndata: ${JSON.stringify(state)}\n\n`;
}

test("the overview is usable with 5,000 models", async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.route("**/api/v1/watch?models=*", (route) => route.fulfill({ status: 200, contentType: "text/event-stream", body: states(5000) }));
  const page = await openPage(context, `${gateway.admin}/`);
  await page.getByText("5,001 names").waitFor();
  await page.getByRole("link", { name: nameOf(0), exact: true }).waitFor();
  assert.ok((await page.locator("tbody tr").count()) < 100, "only rows in sight are in the document");
  assert.equal(await page.locator("table").getAttribute("aria-rowcount"), "5002");
  await page.locator(".scroll").evaluate((box) => (box.scrollTop = box.scrollHeight));
  await page.getByRole("link", { name: nameOf(4999), exact: true }).waitFor();
  assert.ok((await page.locator("tbody tr").count()) < 100);
  let begun = Date.now();
  await page.getByRole("searchbox").fill("model-4321");
  await page.getByText("1 of 5,001").waitFor();
  console.log(`search: ${Date.now() - begun} ms`);
  await page.getByRole("searchbox").fill("unavailable");
  await page.getByText("10 of 5,001").waitFor();
  await page.getByRole("searchbox").fill("<img");
  await page.getByRole("link", { name: "<img src=x onerror=alert(1)>", exact: true }).waitFor();
  assert.equal(await page.locator("img").count(), 0);
  await page.getByRole("searchbox").fill("");
  begun = Date.now();
  await page.getByRole("button", { name: "State" }).click();
  await page.locator("tbody tr").first().getByText("unavailable").waitFor();
  console.log(`order: ${Date.now() - begun} ms`);
  await shot(page, "many");
  assert.deepEqual(page.faults, []);
});

test("the first paint is measured", async () => {
  const context = await browser.newContext();
  const page = await openPage(context, `${gateway.admin}/`);
  await page.locator("nav").waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByType("paint").find((e) => e.name === "first-contentful-paint")?.startTime);
  assert.ok(paint > 0);
  console.log(`first contentful paint: ${Math.round(paint)} ms`);
});
