// Who may: a token, the cookie, buttons that say what is missing, and a token that ends.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway } from "./gateway.mjs";

const keys = { OPERATOR_KEY: "operator-key-0123456789", READER_KEY: "reader-key-0123456789" };
const callers = `
auth: {required: true}
callers:
  olga: {keys: ['\${OPERATOR_KEY}'], allow: [{models: ['*'], actions: [infer, metadata, statistics, route, rollout, signal, load, admin]}]}
  rudi: {keys: ['\${READER_KEY}'], allow: [{models: ['*'], actions: [metadata, statistics]}]}
`;

let gateway, browser;
before(async () => {
  gateway = await Gateway.start({ more: callers, env: keys });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gateway?.close();
});

async function signedIn(key, keep) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await openPage(context, `${gateway.admin}/#/routes/iris`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.locator("input[name=token]").fill(key);
  if (keep) await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  return page;
}

test("a page without a token asks for one, and says if it is wrong", async () => {
  const page = await signedIn("not-a-key-of-anyone", false);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.locator("#live[data-state=refused]").waitFor();
  await shot(page, "signin");
  await page.locator("input[name=token]").fill(keys.OPERATOR_KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("slider").waitFor();
  await live(page);
  await page.getByRole("link", { name: "olga" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor(); // the token was in the memory of the page
  assert.deepEqual(page.faults, []);
});

test("a kept sign-in is in a cookie that scripts cannot read, and its changes have its name", async () => {
  const page = await signedIn(keys.OPERATOR_KEY, true);
  await live(page);
  await page.reload();
  await live(page);
  const cookies = await page.context().cookies();
  assert.equal(cookies.length, 1);
  assert.equal(cookies[0].httpOnly, true);
  assert.equal(cookies[0].sameSite, "Strict");
  assert.ok(!JSON.stringify(cookies).includes(keys.OPERATOR_KEY));
  assert.equal(await page.evaluate(() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)), "{}{}");
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.locator(".draft").getByLabel("Reason").fill("by cookie");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("revision 2", { exact: true }).waitFor();
  const events = await gateway.api("journal?subject=routes/iris", { headers: { Authorization: `Bearer ${keys.OPERATOR_KEY}` } });
  assert.deepEqual(events.slice(-1).map((e) => [e.actor, e.actor_verified, e.reason]), [["olga", true, "by cookie"]]);
  await page.goto(`${gateway.admin}/#/signin`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#live[data-state=refused]").waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(page.faults, []);
});

test("buttons that a reader may not use say what is missing", async () => {
  const page = await signedIn(keys.READER_KEY, false);
  await live(page);
  await page.getByText("rudi may not do this: it needs the action 'route' on 'iris'").first().waitFor();
  assert.equal(await page.getByRole("slider").getAttribute("aria-disabled"), "true");
  await page.getByRole("slider").dispatchEvent("keydown", { key: "ArrowLeft" });
  assert.equal(await page.locator(".draft").count(), 0);
  for (const [path, text] of [["models/iris", "needs the action 'infer'"], ["rollouts", "needs the action 'rollout'"], ["journal", "needs the action 'admin'"]]) {
    await page.evaluate((to) => (location.hash = `#/${to}`), path);
    await page.getByText(text, { exact: false }).first().waitFor();
  }
  assert.deepEqual(page.faults, []);
});

test("a key that a reload removes ends the page's access with a clear state", async () => {
  const page = await signedIn(keys.OPERATOR_KEY, false);
  await live(page);
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByText("of 10,000 slots move").waitFor();
  await writeFile(join(gateway.folder, "sluice.yaml"), gateway.config.replace(/ {2}olga:.*\n/, ""));
  gateway.process.kill("SIGHUP");
  await page.locator("#live[data-state=refused]").waitFor();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.deepEqual(page.faults, []);
});
