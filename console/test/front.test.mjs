// The console behind a path prefix of a proxy, and over TLS: every page, a change, and a kept sign-in.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, live, openPage } from "./browser.mjs";
import { certificate, proxy } from "./front.mjs";
import { Gateway } from "./gateway.mjs";

const key = "operator-key-0123456789";
const callers = `
auth: {required: true}
callers:
  olga: {keys: ['\${OPERATOR_KEY}'], allow: [{models: ['*'], actions: [infer, metadata, statistics, route, rollout, signal, load, admin]}]}
`;

let browser;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

/** visit signs in, looks at each page, moves a weight, and reloads. */
async function visit(context, at) {
  const page = await openPage(context, at);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.locator("input[name=token]").fill(key);
  await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
  const pages = [
    ["models/iris", "Model iris"],
    ["drift", "Drift"],
    ["drift/diabetes", "Drift of diabetes"],
    ["rollouts", "Rollouts"],
    ["rollouts/iris", "Rollout of iris"],
    ["journal", "Journal"],
    ["routes/iris", "Route iris"],
  ];
  for (const [path, title] of pages) {
    await page.goto(`${at}#/${path}`);
    await page.getByRole("heading", { name: title, exact: true }).waitFor();
  }
  await page.getByRole("slider").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByText("100 of 10,000 slots move").waitFor();
  await page.locator(".draft").getByLabel("Reason").fill("from afar");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("revision 2", { exact: true }).waitFor();
  await page.reload();
  await live(page);
  await page.getByRole("cell", { name: "from afar" }).waitFor();
  assert.deepEqual(page.faults, []);
  return context.cookies();
}

test("the console works below a path of a proxy", async () => {
  const gateway = await Gateway.start({ more: callers, env: { OPERATOR_KEY: key } });
  const front = await proxy(gateway.admin, "/ops/sluice/");
  try {
    const cookies = await visit(await browser.newContext(), front.at);
    assert.equal(cookies.length, 1);
    assert.ok(cookies[0].path.startsWith("/ops/sluice/"), `the cookie is for ${cookies[0].path}`);
    assert.deepEqual(front.strays, [], "all requests are below the prefix");
  } finally {
    await front.close();
    await gateway.close();
  }
});

test("the console works over TLS, and its cookie is for TLS only", async () => {
  const folder = await mkdtemp(join(tmpdir(), "console-tls-"));
  const files = await certificate(folder);
  const tls = `  tls: {cert: ${files.cert}, key: ${files.key}}`;
  const gateway = await Gateway.start({ scheme: "https", env: { OPERATOR_KEY: key }, more: callers, edit: (c) => c.replace(/(admin:\n {2}address: .*\n)/, `$1${tls}\n`) });
  try {
    const cookies = await visit(await browser.newContext({ ignoreHTTPSErrors: true }), `${gateway.admin}/`);
    assert.deepEqual(cookies.map((c) => [c.secure, c.httpOnly, c.sameSite, c.name.startsWith("__Secure-")]), [[true, true, "Strict", true]]);
  } finally {
    await gateway.close();
    await rm(folder, { recursive: true, force: true });
  }
});
