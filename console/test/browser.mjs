// Chromium for the tests. It is that of the system; the tests download none.
import { access, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { patience } from "./gateway.mjs";

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].filter(Boolean);

async function program() {
  for (const place of places) {
    if (await access(place).then(() => true, () => false)) return place;
  }
  throw new Error("there is no Chromium: run apt-get install chromium, or set CHROMIUM to its path");
}

/** launch starts a browser. */
export async function launch() {
  return chromium.launch({ executablePath: await program(), args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** A page notes what must not happen on any page: errors of scripts, violations of the policy, and requests of other hosts. */
export async function openPage(context, at) {
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.faults = [];
  page.on("pageerror", (e) => page.faults.push(`error: ${e.message}`));
  page.on("console", (m) => {
    if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) page.faults.push(`console: ${m.text()}`);
  });
  page.on("request", (r) => {
    if (new URL(r.url()).protocol.startsWith("http") && new URL(r.url()).origin !== new URL(at).origin) page.faults.push(`request of another host: ${r.url()}`);
  });
  page.on("dialog", (d) => {
    page.faults.push(`dialog: ${d.message()}`);
    void d.dismiss();
  });
  await page.goto(at);
  return page;
}

const folder = (path) => fileURLToPath(new URL(path, import.meta.url));
const artefacts = folder("artefacts");
const images = folder("../../docs/images");

/**
 * shot keeps a picture of the page, for people to look at. A picture that has a name in the documents is also written there if the
 * environment has IMAGES=1.
 */
export async function shot(page, name, inDocuments) {
  await mkdir(artefacts, { recursive: true });
  const path = join(artefacts, `${name}.png`);
  await page.screenshot({ path, fullPage: true });
  if (inDocuments && process.env.IMAGES === "1") await copyFile(path, join(images, `${inDocuments}.png`));
}

/** live waits until the page shows what is now. */
export async function live(page) {
  await page.locator('#live[data-state="live"]').waitFor();
}
