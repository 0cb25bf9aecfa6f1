// A rollout: planned, started, paused, resumed and aborted. The journal has all of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, traffic, waitFor } from "./gateway.mjs";

let gateway, browser, flow, page;
before(async () => {
  gateway = await Gateway.start({
    edit: (c) => c.replace("routes:\n", "routes:\n  flowers:\n    model: iris\n    variants: [{version: 1, weight: 100%}]\n"),
  });
  browser = await launch();
  flow = await traffic(gateway, { also: "flowers" });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  page = await openPage(context, `${gateway.admin}/#/rollouts`);
  await live(page);
});
after(async () => {
  await flow?.stop();
  await browser?.close();
  await gateway?.close();
});

async function act(name, reason) {
  await page.getByRole("button", { name, exact: true }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(reason);
  await dialog.getByRole("button", { name, exact: true }).click();
}

test("a rollout is planned, started and aborted", async () => {
  await page.locator("select[name=route]").selectOption("flowers");
  await page.locator("input[name=version]").fill("2");
  await page.locator("select[name=preset]").selectOption("fast");
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByText("A version that is not worse is rolled back").waitFor();
  await page.getByRole("region", { name: "Steps of the plan" }).waitFor();
  await shot(page, "plan");
  await act("Start the rollout", "version 2 is smaller <b>bold</b>");
  await page.getByRole("heading", { name: "Rollout of flowers" }).waitFor();
  await waitFor("requests at the canary", async () => (await gateway.api("rollouts/flowers")).answered > 50);
  assert.equal((await gateway.api("rollouts/flowers")).state, "CANARY");
  await page.getByRole("region", { name: "Evidence by guardrail" }).getByText("errors", { exact: true }).waitFor();
  await page.getByText("“version 2 is smaller <b>bold</b>”", { exact: false }).waitFor();
  await shot(page, "rollout");
  await act("Pause", "looking closer");
  await page.locator("main .state", { hasText: /^paused$/ }).waitFor();
  assert.equal((await gateway.api("rollouts/flowers")).state, "PAUSED");
  await act("Resume", "it is fine");
  await waitFor("the canary again", async () => (await gateway.api("rollouts/flowers")).state === "CANARY");
  await act("Abort", "enough for today");
  await page.locator("main .state", { hasText: /^rolled back$/ }).first().waitFor();
  const done = await gateway.api("rollouts/flowers");
  assert.equal(done.state, "ROLLED_BACK");
  assert.deepEqual((await gateway.api("routes/flowers")).variants.map((v) => [v.version, v.weight]), [[1, 10000]]);
  assert.deepEqual(page.faults, []);
});

test("the journal has the rollout, and says what served", async () => {
  await page.goto(`${gateway.admin}/#/journal`);
  await page.getByRole("button", { name: /rollout\.aborted/ }).waitFor();
  await page.locator("input[name=type]").fill("rollout.");
  await page.getByText("version 2 is smaller <b>bold</b>").waitFor();
  await waitFor("only events of rollouts", async () => (await page.getByRole("button", { name: /version\.loaded/ }).count()) === 0);
  await page.getByRole("button", { name: /rollout\.paused/ }).click();
  await page.getByRole("heading", { name: /rollout\.paused/ }).waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.locator("select[name=route]").selectOption("flowers");
  await page.getByRole("button", { name: "Look" }).click();
  await page.getByText("flowers at", { exact: false }).waitFor();
  await page.getByRole("region", { name: "What served" }).getByText("100 %").waitFor();
  await shot(page, "journal");
  await page.locator("input[name=type]").fill("no.such.type");
  await page.getByText("No event fits.").waitFor();
  assert.deepEqual(page.faults, []);
});
