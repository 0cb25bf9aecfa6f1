// 5,000 models of a real gateway: the table keeps few rows in the document, and search and order work. Times are printed, not
// asserted.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, root, waitFor } from "./gateway.mjs";

const all = 5000;
const nameOf = (i) => `model-${String(i).padStart(4, "0")}`;
const broken = [7, 1234, 4999];

/** fill writes tiny models to a folder, a few of them damaged. */
async function fill(folder) {
  const good = await readFile(join(root, "testdata", "triton-2.51-models", "plus10", "1", "model.onnx"));
  for (let i = 0; i < all; i++) {
    const version = join(folder, nameOf(i), "1");
    await mkdir(version, { recursive: true });
    await writeFile(join(version, "model.onnx"), broken.includes(i) ? "damaged" : good);
  }
}

let gateway, browser, going = true, traffic;
before(async () => {
  const begun = Date.now();
  gateway = await Gateway.start({ fill, edit: (c) => c.replace(/routes:\n[\s\S]*?(?=log:)/, "") });
  console.log(`${all} models are written, loaded and ready: ${Date.now() - begun} ms`);
  browser = await launch();
  traffic = (async () => {
    for (let i = 0; going; i = (i + 1) % 40) {
      await gateway.infer(nameOf(i % 3 ? 4321 : 100 + i), [[1, 2, 3]]).catch(() => undefined);
      await new Promise((r) => setTimeout(r, 20));
    }
  })();
});
after(async () => {
  going = false;
  await traffic;
  await browser?.close();
  await gateway?.close();
});

test("the overview is usable with 5,000 models", async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const opened = Date.now();
  const page = await openPage(context, `${gateway.admin}/`);
  await page.getByText("5,000 names").waitFor();
  await page.getByRole("link", { name: nameOf(0), exact: true }).waitFor();
  console.log(`opened: ${Date.now() - opened} ms`);
  await live(page);
  const rows = page.locator("tbody tr");
  assert.ok((await rows.count()) < 100, "only rows in sight are in the document");
  assert.equal(await page.locator("table").getAttribute("aria-rowcount"), String(all + 1));
  await page.locator(".scroll").evaluate((box) => (box.scrollTop = box.scrollHeight));
  await page.getByRole("link", { name: nameOf(all - 1), exact: true }).waitFor();
  assert.ok((await rows.count()) < 100);
  const timed = async (what, act, seen) => {
    const begun = Date.now();
    await act();
    await seen();
    console.log(`${what}: ${Date.now() - begun} ms`);
  };
  const search = page.getByRole("searchbox");
  await timed("search", () => search.fill("model-432"), () => page.getByText("10 of 5,000").waitFor());
  await search.fill("unavailable");
  await page.getByText(`${broken.length} of 5,000`).waitFor();
  await search.fill("");
  await timed("order by state", () => page.getByRole("button", { name: "State" }).click(), () => rows.first().getByText("unavailable").waitFor());
  // To order by a counter, the page needs those of all models.
  await page.getByRole("button", { name: "Req/s" }).click();
  await rows.first().getByRole("link", { name: nameOf(4321), exact: true }).waitFor();
  await waitFor("requests of the busiest model", async () => Number(await rows.first().locator("td").nth(4).innerText()) > 0);
  const [longest] = await page.evaluate(
    () =>
      new Promise((done) => {
        const gaps = [];
        let last = performance.now();
        const tick = (now) => {
          gaps.push(now - last);
          last = now;
          gaps.length < 240 ? requestAnimationFrame(tick) : done(gaps.sort((a, b) => b - a));
        };
        requestAnimationFrame(tick);
      }),
  );
  console.log(`the longest pause between two frames, with the counters of all models every 2 s: ${Math.round(longest)} ms`);
  await shot(page, "many");
  assert.deepEqual(page.faults, []);
});

test("markup in the name of one of many models is text", async () => {
  const context = await browser.newContext();
  const name = "<img src=x onerror=alert(1)>";
  const model = { name, version: 1, state: "READY", role: "live", reason: "<script>alert(1)</script>" };
  const route = { name, model: name, revision: 0, seed: name, shadows: [], variants: [{ version: 1, weight: 10000, role: "stable" }] };
  const state = { at: new Date().toISOString(), whole: true, models: [model], routes: [route], rollouts: [], signals: [], drift: [] };
  const body = `event: start\ndata: {"after":0,"last":0}\n\nevent: state\ndata: ${JSON.stringify(state)}\n\n`;
  await context.route("**/api/v1/watch?models=*", (r) => r.fulfill({ status: 200, contentType: "text/event-stream", body }));
  const page = await openPage(context, `${gateway.admin}/`);
  await page.getByRole("link", { name, exact: true }).waitFor();
  assert.equal(await page.locator("img").count(), 0);
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
