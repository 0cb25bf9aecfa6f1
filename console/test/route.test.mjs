// The overview, and a route: a canary that is dragged gets the traffic that the bar says.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, traffic, waitFor } from "./gateway.mjs";

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

async function open(path = "") {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await openPage(context, `${gateway.admin}/${path}`);
  await live(page);
  return page;
}

test("the overview shows the models and what they do", async () => {
  const page = await open();
  for (const name of ["iris", "digits", "diabetes", "breast_cancer"]) await page.getByRole("link", { name, exact: true }).waitFor();
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "iris", exact: true }) });
  await row.getByText("ready", { exact: true }).waitFor();
  await waitFor("requests of iris by second", async () => Number(await row.locator("td").nth(4).innerText()) > 0);
  await page.getByRole("searchbox").fill("dig");
  await page.getByText("1 of ", { exact: false }).waitFor();
  assert.equal(await page.getByRole("link", { name: "iris", exact: true }).count(), 0);
  await page.getByRole("searchbox").fill("");
  await row.locator(".spark path").waitFor();
  await shot(page, "overview", "console-overview");
  assert.deepEqual(page.faults, []);
});

test("a canary that is dragged gets its share of the requests", async () => {
  const page = await open("#/routes/iris");
  const handle = page.getByRole("slider");
  const bar = await page.locator(".slots").boundingBox();
  const grip = await handle.boundingBox();
  await page.mouse.move(grip.x + grip.width / 2, grip.y + grip.height / 2);
  await page.mouse.down();
  await page.mouse.move(bar.x + bar.width * 0.9, grip.y + 5);
  await page.mouse.move(bar.x + bar.width * 0.8, grip.y + 5);
  await page.mouse.up();
  assert.equal(await handle.getAttribute("aria-valuenow"), "80");
  await page.getByText("1,500 of 10,000 slots move").waitFor();
  await shot(page, "route-draft", "console-route");
  const apply = page.getByRole("button", { name: "Apply" });
  assert.equal(await apply.isDisabled(), true, "a change needs a reason");
  const reason = 'the canary does well <img src=x onerror="alert(1)">, größer';
  await page.getByLabel("Reason").fill(reason);
  const before = await gateway.api("routes/iris/stats");
  await apply.click();
  await page.getByText("revision 2", { exact: true }).waitFor();
  const route = await gateway.api("routes/iris");
  assert.deepEqual(route.variants.map((v) => v.weight), [8000, 2000]);
  const [event] = (await gateway.api("journal?subject=routes/iris")).slice(-1);
  assert.equal(event.reason, reason);
  const requests = (stats, i) => stats.variants[i].total.requests;
  await waitFor("about a fifth of the requests at the canary", async () => {
    const now = await gateway.api("routes/iris/stats");
    const [stable, canary] = [0, 1].map((i) => requests(now, i) - requests(before, i));
    return stable + canary > 300 && canary / (stable + canary) > 0.12 && canary / (stable + canary) < 0.28;
  });
  await page.getByText("Recent error rate, 95 % interval").waitFor();
  await page.locator(".rate").first().waitFor();
  await page.locator("select[name=span]").selectOption("1h");
  await page.getByText("More needs a Prometheus server", { exact: false }).waitFor();
  assert.deepEqual(await page.locator("select[name=span] option").allInnerTexts(), ["15 minutes", "hour"]);
  await shot(page, "route");
  assert.deepEqual(page.faults, []);
});
