// A model: what is known of it, and a request that is sent from its page. Drift: requests that move are detected.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, traffic, waitFor } from "./gateway.mjs";

let gateway, browser, flow, page;
before(async () => {
  gateway = await Gateway.start({ edit: (c) => c.replace("rows: 200", "rows: 200, window: 10s") });
  browser = await launch();
  flow = await traffic(gateway, { shift: { age: 25 } });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  page = await openPage(context, `${gateway.admin}/#/models/iris`);
  await live(page);
});
after(async () => {
  await flow?.stop();
  await browser?.close();
  await gateway?.close();
});

test("a request made from the signature is answered, with what served it", async () => {
  await page.getByRole("region", { name: "Signature" }).first().getByText("FP32").first().waitFor();
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#answer").getByText("outputs").waitFor();
  assert.match(await page.locator("#answer").innerText(), /"model_name": "iris"/);
  await page.locator(".facts div").filter({ hasText: "Round trip" }).waitFor();
  await page.locator(".facts div").filter({ hasText: /^Version/ }).getByRole("link", { name: /^v[12]$/ }).waitFor();
  await shot(page, "model");
  await page.locator("textarea").fill('{"inputs": [{"name": "<img src=x onerror=alert(1)>", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}');
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByRole("alert").getByText("<img src=x onerror=alert(1)>", { exact: false }).waitFor();
  for (const model of ["digits", "diabetes", "breast_cancer"]) {
    await page.goto(`${gateway.admin}/#/models/${model}`);
    await page.getByRole("heading", { name: `Model ${model}` }).waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#answer").getByText(`"model_name": "${model}"`).waitFor();
  }
  assert.deepEqual(page.faults, []);
});

test("drift appears, with a signal that can be closed", async () => {
  await page.goto(`${gateway.admin}/#/drift/diabetes`);
  await page.getByRole("heading", { name: "Drift of diabetes" }).waitFor();
  await waitFor("drift of age", async () => (await gateway.api("drift/diabetes")).some((d) => d.state === "DETECTED"), 180_000);
  await page.locator("main .state", { hasText: /^detected$/ }).first().waitFor();
  await page.getByRole("button", { name: "age", exact: true }).first().waitFor();
  await page.getByRole("img", { name: "Distribution of age: reference and last window", exact: false }).waitFor();
  assert.ok((await page.locator(".overlay rect.window").count()) > 5);
  await shot(page, "drift");
  const close = page.getByRole("button", { name: "Close", exact: true });
  await close.first().click();
  await page.getByRole("dialog").getByLabel("Reason").fill("<b>retrained</b>");
  await page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).click();
  await page.getByText("“<b>retrained</b>”", { exact: false }).first().waitFor();
  assert.ok((await gateway.api("signals")).some((s) => s.state === "closed" && s.reason === "<b>retrained</b>"));
  assert.deepEqual(page.faults, []);
});
