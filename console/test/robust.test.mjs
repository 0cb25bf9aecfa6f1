// What goes wrong, and who works differently: conflicts, a lost gateway, markup in names, a keyboard, a screen reader, a phone.
import assert from "node:assert/strict";
import { cp, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, traffic, waitFor } from "./gateway.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const markup = "<img src=x onerror=alert(1)>";
const paths = ["", "#/models/iris", "#/routes/iris", "#/rollouts", "#/rollouts/iris", "#/drift", "#/drift/diabetes", "#/journal", "#/signin"];

let gateway, browser, flow;
before(async () => {
  gateway = await Gateway.start();
  browser = await launch();
  flow = await traffic(gateway);
});
after(async () => {
  await flow?.stop();
  await browser?.close();
  await gateway?.close();
});

async function open(path = "", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await openPage(context, `${gateway.admin}/${path}`);
  await live(page);
  return page;
}

test("a conflict between two pages shows the other's change", async () => {
  const [mine, theirs] = [await open("#/routes/iris"), await open("#/routes/iris")];
  await mine.getByRole("slider").focus();
  await mine.keyboard.press("ArrowLeft");
  await mine.getByText("100 of 10,000 slots move").waitFor();
  await theirs.getByRole("slider").focus();
  for (let i = 0; i < 3; i++) await theirs.keyboard.press("ArrowLeft");
  await theirs.getByLabel("Reason").fill(`theirs ${markup}`);
  await theirs.getByRole("button", { name: "Apply" }).click();
  await theirs.getByText("revision 2", { exact: true }).waitFor();
  const notice = mine.getByRole("alert");
  await notice.getByText("Someone else changed this route.").waitFor();
  await notice.getByText(`theirs ${markup}`, { exact: false }).waitFor();
  await notice.getByText("v1 92 %, v2 8 %", { exact: false }).waitFor();
  await shot(mine, "conflict");
  await mine.getByRole("button", { name: "Prepare mine again on theirs" }).click();
  await mine.getByText("200 of 10,000 slots move").waitFor();
  await mine.getByLabel("Reason").fill("mine");
  await mine.getByRole("button", { name: "Apply" }).click();
  await mine.getByText("revision 3", { exact: true }).waitFor();
  assert.deepEqual((await gateway.api("routes/iris")).variants.map((v) => v.weight), [9400, 600]);
  assert.deepEqual([...mine.faults, ...theirs.faults], []);
});

test("a change that the gateway refuses as outdated is not lost", async () => {
  const page = await open("#/routes/iris");
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByLabel("Reason").fill("late");
  // The other change comes between the last message of the stream and the answer.
  let done = false;
  await page.route("**/api/v1/routes/iris", async (route) => {
    if (route.request().method() === "PUT" && !done) {
      done = true;
      const now = await gateway.api("routes/iris");
      const body = JSON.stringify({ ...now, variants: now.variants.map((v, i) => ({ ...v, weight: [9000, 1000][i] })) });
      await gateway.api("routes/iris", { method: "PUT", headers: { "If-Match": `"${now.revision}"` }, body });
    }
    await route.continue();
  });
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("Someone else changed this route.").waitFor();
  await page.getByText("You wanted: v1 93 %, v2 7 %", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Keep theirs" }).click();
  assert.equal(await page.getByRole("slider").getAttribute("aria-valuenow"), "90");
  assert.deepEqual(page.faults, []);
});

test("the route can be changed, and changed back, with the keyboard alone", async () => {
  const page = await open("");
  await page.locator("main").focus();
  const reach = async (what, condition) => {
    for (let i = 0; i < 80; i++) {
      if (await page.evaluate(condition)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab does not reach ${what}`);
  };
  await reach("the route", () => document.activeElement?.textContent === "iris" && document.activeElement.tagName === "A");
  await page.keyboard.press("Enter");
  await page.getByRole("slider").waitFor();
  const before = await gateway.api("routes/iris");
  await reach("the boundary", () => document.activeElement?.getAttribute("role") === "slider");
  await page.keyboard.press("PageDown");
  await page.keyboard.press("Shift+ArrowRight");
  await page.getByText("999 of 10,000 slots move").waitFor();
  await reach("the reason", () => document.activeElement?.getAttribute("name") === "reason");
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Enter");
  await page.getByText(`revision ${before.revision + 1}`, { exact: true }).waitFor();
  assert.equal((await gateway.api("routes/iris")).variants[1].weight, before.variants[1].weight + 999);
  await page.getByRole("cell", { name: "by keyboard" }).waitFor();
  await reach("the way back", () => document.activeElement?.textContent === "Go back");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText(`revision ${before.revision + 2}`, { exact: true }).waitFor();
  assert.deepEqual((await gateway.api("routes/iris")).variants, before.variants);
  assert.deepEqual(page.faults, []);
});

test("pages have no serious problem for a screen reader, light and dark", async () => {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme, bypassCSP: true });
    const page = await openPage(context, `${gateway.admin}/`);
    await live(page);
    for (const path of paths) {
      await page.goto(`${gateway.admin}/${path}`);
      await live(page);
      await page.locator("main h1, main .tiles, main h2").first().waitFor();
      await shot(page, `${colorScheme}${path.replace(/\W+/g, "-") || "-overview"}`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter((v) => v.impact === "serious" || v.impact === "critical");
      for (const v of serious) found.push([colorScheme, path, v.id, v.nodes.slice(0, 3).map((n) => n.html)]);
    }
    if (colorScheme === "dark") {
      await page.goto(`${gateway.admin}/#/routes/iris`);
      await page.getByRole("slider").waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
      await page.getByLabel("Colours").selectOption("light");
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
    }
    await context.close();
  }
  assert.deepEqual(found, []);
});

test("pages fit a width of 400 pixels", async () => {
  const page = await open("", { viewport: { width: 400, height: 800 } });
  for (const path of paths) {
    await page.goto(`${gateway.admin}/${path}`);
    await page.locator("main h1, main .tiles, main h2").first().waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${path} is ${wide} pixels too wide`);
    await shot(page, `narrow${path.replace(/\W+/g, "-") || "-overview"}`);
  }
  assert.deepEqual(page.faults, []);
});

test("a lost gateway leaves what was seen, marked as stale, and comes back", async () => {
  const page = await open("#/routes/iris");
  await page.getByRole("slider").waitFor();
  await gateway.stop();
  await page.locator('#live[data-state="lost"], #live[data-state="connecting"]').waitFor();
  await page.getByRole("alert").getByText("The connection is lost.").waitFor();
  await page.getByText("What you see is stale", { exact: false }).waitFor();
  assert.equal(await page.getByRole("slider").count(), 1, "the page is not blank");
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByText("the gateway does not answer", { exact: false }).first().waitFor();
  await shot(page, "lost");
  await gateway.again();
  await live(page);
  await page.getByRole("button", { name: "Discard" }).click();
  await waitFor("a second change that is seen", async () => {
    const now = await gateway.api("routes/iris");
    await gateway.api("routes/iris", { method: "PUT", headers: { "If-Match": `"${now.revision}"` }, body: JSON.stringify({ ...now, variants: now.variants.map((v, i) => ({ ...v, weight: [7000, 3000][i] })) }) });
    return true;
  });
  await page.getByText("30 %").first().waitFor();
  assert.deepEqual(page.faults.filter((f) => !f.includes("net::ERR")), []);
});

test("a browser whose clock is an hour ahead shows the same, and may change things", async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.addInitScript(() => {
    const Real = Date;
    const ahead = 3600_000;
    globalThis.Date = class extends Real {
      constructor(...given) {
        given.length ? super(...given) : super(Real.now() + ahead);
      }
      static now() {
        return Real.now() + ahead;
      }
    };
  });
  const page = await openPage(context, `${gateway.admin}/#/journal`);
  await live(page);
  await page.locator("select[name=route]").selectOption("iris");
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByRole("region", { name: "What served" }).getByRole("link", { name: "v1" }).waitFor();
  await page.goto(`${gateway.admin}/#/routes/iris`);
  await page.getByRole("slider").waitFor();
  await page.getByRole("img", { name: "Chart: Requests per second", exact: false }).waitFor();
  const before = await gateway.api("routes/iris");
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.locator(".draft").getByLabel("Reason").fill("ahead of time");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText(`revision ${before.revision + 1}`, { exact: true }).waitFor();
  await page.getByRole("cell", { name: "ahead of time" }).waitFor();
  await live(page);
  assert.deepEqual(page.faults, []);
});

test("markup in names and errors is text", async () => {
  const page = await open(`#/models/${encodeURIComponent(markup)}`);
  await page.getByRole("alert").getByText(markup, { exact: false }).first().waitFor();
  for (const kind of ["routes", "rollouts", "drift"]) {
    await page.goto(`${gateway.admin}/#/${kind}/${encodeURIComponent(markup)}`);
    await page.getByText(markup, { exact: false }).first().waitFor();
  }
  assert.equal(await page.locator("img").count(), 0);
  // A model may have a name with markup as far as a folder can: the gateway decides whether it serves it.
  const name = "<img src=x onerror=alert(2)>";
  await cp(join(gateway.folder, "models", "digits"), join(gateway.folder, "models", name), { recursive: true });
  await fetch(`${gateway.admin}/-/reload`, { method: "POST" });
  const listed = (await gateway.api("models")).some((m) => m.name === name);
  await page.goto(`${gateway.admin}/#/`);
  await page.getByRole("link", { name: "iris", exact: true }).waitFor();
  if (listed) await page.getByRole("link", { name, exact: true }).waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(page.faults, []);
});
