// A model: what is known of it, and a request that is sent from its page. Drift: requests that move are detected.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, live, openPage, shot } from "./browser.mjs";
import { Gateway, traffic, waitFor } from "./gateway.mjs";

let gateway, browser, flow, page;
before(async () => {
  gateway = await Gateway.start({ edit: (c) => "labels: {max_age: 2m}\n" + c.replace("rows: 200", "rows: 200, window: 10s").replace("models:\n", "models:\n  breast_cancer: {labels: {sample: 100%}}\n") });
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
  await page.getByText(/^Alarm below$/).first().waitFor();
  await page.getByRole("img", { name: "Chart: age: effect by window, with its interval", exact: false }).waitFor();
  await shot(page, "drift", "console-drift");
  // The alarm has made a request for retraining, which waits for a trainer.
  const retrainings = page.getByRole("region", { name: "Retrainings" });
  await retrainings.getByText("requested", { exact: true }).waitFor();
  await retrainings.getByText("none: a person or a program reads the list").waitFor();
  const close = page.getByRole("button", { name: "Close", exact: true });
  await close.first().click();
  await page.getByRole("dialog").getByLabel("Reason").fill("<b>retrained</b>");
  await page.getByRole("dialog").getByRole("button", { name: "Close", exact: true }).click();
  await page.getByText("“<b>retrained</b>”", { exact: false }).first().waitFor();
  assert.ok((await gateway.api("signals")).some((s) => s.state === "closed" && s.reason === "<b>retrained</b>"));
  await retrainings.getByText("rejected", { exact: true }).first().waitFor();
  assert.deepEqual(page.faults, []);
});

test("a retraining is requested and canceled", async () => {
  await page.goto(`${gateway.admin}/#/drift/iris`);
  const act = async (name, reason) => {
    await page.getByRole("button", { name, exact: true }).first().click();
    await page.getByRole("dialog").getByLabel("Reason").fill(reason);
    await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
  };
  await act("Request a retraining", "new flowers <i>this</i> season");
  const list = page.getByRole("region", { name: "Retrainings" });
  await list.getByText("requested", { exact: true }).waitFor();
  const [made] = await gateway.api("retrainings?model=iris");
  assert.deepEqual([made.state, made.cause], ["requested", "manual"]);
  await gateway.api(`signals/${made.id}/progress`, { method: "POST", body: JSON.stringify({ progress: 0.4, message: "<b>trial</b> 4 of 10", log: "javascript:alert(1)" }) }).catch(() => undefined);
  await gateway.api(`signals/${made.id}/progress`, { method: "POST", body: JSON.stringify({ progress: 0.4, message: "<b>trial</b> 4 of 10" }) });
  await list.getByText("40 %, <b>trial</b> 4 of 10", { exact: false }).waitFor();
  assert.equal(await list.locator("a[href^=javascript]").count(), 0);
  await act("Cancel", "it can wait");
  await list.getByText("rejected", { exact: true }).waitFor();
  assert.equal((await gateway.api(`signals/${made.id}/retraining`)).state, "rejected");
  assert.deepEqual(page.faults, []);
});

test("the page of drift shows how good predictions were, by their labels", async () => {
  const row = () => Array.from({ length: 30 }, () => Math.random() * 20);
  const windows = async (has) => Math.max(0, ...(await gateway.api("labels/breast_cancer")).streams.map((s) => (s.windows ?? []).filter(has).length));
  let sent = 0;
  await waitFor("predictions of two times", async () => {
    for (let i = 0; i < 5; i++) await gateway.infer("breast_cancer", [row()], { "X-Request-Id": `case-${sent++}` });
    return sent >= 60 && (await windows((w) => w.predictions > 0)) >= 2;
  });
  const labels = Array.from({ length: sent }, (_, i) => ({ request_id: `case-${i}`, label: i % 2 }));
  await waitFor("labels that find their predictions", async () => {
    await fetch(`${gateway.data}/v2/models/breast_cancer/labels`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ labels }) });
    return (await windows((w) => w.labels > 0)) >= 2;
  });
  await page.goto(`${gateway.admin}/#/drift/breast_cancer`);
  const panel = page.getByRole("region", { name: "Labels", exact: true });
  await panel.getByRole("cell", { name: "accuracy", exact: true }).first().waitFor();
  await panel.getByRole("columnheader", { name: "Expected" }).first().waitFor();
  await panel.getByText("predictions have a label", { exact: false }).first().waitFor();
  const chart = panel.getByRole("img", { name: /^Chart: accuracy by the time of the predictions/ }).first();
  await chart.scrollIntoViewIfNeeded();
  await shot(page, "labels");
  assert.deepEqual(page.faults, []);
});
