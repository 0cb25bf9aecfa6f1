// A gateway for the tests: the demo configuration on free ports, in a folder of its own.
import { spawn } from "node:child_process";
import { cp, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const program = process.env.GATEWAY ?? join(root, "bin", "gateway");

/** How long a test waits for a state. The machine may be slow. */
export const patience = Number(process.env.PATIENCE ?? 60_000);

/** waitFor asks until a condition holds, and returns what it gives then. */
export async function waitFor(what, condition, ms = patience) {
  const deadline = Date.now() + ms;
  for (;;) {
    const got = await condition();
    if (got) return got;
    if (Date.now() > deadline) throw new Error(`it has not come: ${what}`);
    await new Promise((r) => setTimeout(r, 100));
  }
}

/**
 * Gateway is a process. It can be stopped and started again with the same data, on the same ports. Options: fill writes other models
 * than those of the demo to a folder, edit changes the configuration, more is appended to it, env is for the process, and scheme is
 * https if the admin port speaks TLS.
 */
export class Gateway {
  static async start(options = {}) {
    const g = new Gateway();
    g.scheme = options.scheme ?? "http";
    g.folder = await mkdtemp(join(tmpdir(), "console-"));
    g.env = { ...process.env, ...options.env };
    const models = join(g.folder, "models");
    await (options.fill ? options.fill(models) : cp(join(root, "models"), models, { recursive: true, dereference: true }));
    const demo = await readFile(join(root, "configs", "demo.yaml"), "utf8");
    g.config = demo
      .replace("path: models", `path: ${models}`)
      .replace("data_dir: .data", `data_dir: ${join(g.folder, "data")}`)
      .replaceAll(/"127\.0\.0\.1:800\d"/g, '"127.0.0.1:0"')
      .replace("profile: configs/", `profile: ${join(root, "configs")}/`)
      .replace("format: console", "format: json");
    g.config = (options.edit?.(g.config) ?? g.config) + (options.more ?? "");
    await g.launch();
    return g;
  }

  async launch() {
    await writeFile(join(this.folder, "sluice.yaml"), this.config);
    const log = join(this.folder, "log");
    const file = await open(log, "w");
    this.process = spawn(program, ["serve", "-c", join(this.folder, "sluice.yaml")], { stdio: ["ignore", "ignore", file.fd], env: this.env });
    this.ended = new Promise((r) => this.process.once("exit", r));
    await file.close();
    const at = await waitFor("the addresses of the gateway", async () => {
      const text = await readFile(log, "utf8");
      if (this.process.exitCode !== null) throw new Error(`the gateway has ended: ${text}`);
      return text.match(/"msg":"listening","http":"([^"]+)","admin":"([^"]+)"/);
    });
    this.data = `http://${at[1]}`;
    this.admin = `${this.scheme}://${at[2]}`;
    await waitFor("a ready gateway", async () => (await fetch(`${this.data}/v2/health/ready`).catch(() => ({ ok: false }))).ok);
  }

  /** stop ends the process. */
  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
  }

  /** again starts a stopped gateway on the ports that it had. */
  async again() {
    const [http, , admin] = [this.data, "", this.admin].map((u) => u.replace(/^https?:\/\//, ""));
    let n = 0;
    this.config = this.config.replaceAll(/"127\.0\.0\.1:\d+"/g, (old) => [`"${http}"`, old, `"${admin}"`][n++] ?? old);
    await this.launch();
  }

  async close() {
    if (this.process.exitCode === null) await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** api asks the control API. */
  async api(path, options = {}) {
    const response = await fetch(`${this.admin}/api/v1/${path}`, options);
    const body = await response.json().catch(() => null);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
    return body;
  }

  /** infer sends rows to a model of one input of numbers. */
  async infer(model, rows, headers = {}) {
    const body = { inputs: [{ name: await this.inputOf(model), datatype: "FP32", shape: [rows.length, rows[0].length], data: rows.flat() }] };
    const response = await fetch(`${this.data}/v2/models/${model}/infer`, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
    await response.arrayBuffer();
    return response;
  }

  async inputOf(model) {
    this.inputs ??= new Map();
    if (!this.inputs.has(model)) {
      const about = await (await fetch(`${this.data}/v2/models/${model}`)).json();
      this.inputs.set(model, about.inputs[0].name);
    }
    return this.inputs.get(model);
  }
}

/** sample returns rows that look like those of a profile: a place in a bin that is drawn by its share, moved by shift. */
export async function sampler(profile) {
  const { features } = JSON.parse(await readFile(join(root, "configs", "profiles", profile), "utf8"));
  const inputs = features.filter((f) => f.kind === "input");
  return (shift = {}) =>
    inputs.map((f) => {
      const bins = f.reference.bins;
      let at = Math.random() * bins.reduce((a, b) => a + b, 0);
      let i = 0;
      while (i < bins.length - 1 && (at -= bins[i]) > 0) i++;
      const low = i > 0 ? f.edges[i - 1] : f.min;
      const high = i < f.edges.length ? f.edges[i] : f.max;
      return low + Math.random() * (high - low) + (shift[f.name] ?? 0);
    });
}

/** traffic sends requests to the demo models until it is stopped. */
export async function traffic(g, options = {}) {
  const row = await sampler("diabetes.json");
  let going = true;
  const shift = options.shift ?? {};
  const flowers = [[5.1, 3.5, 1.4, 0.2], [6.2, 2.9, 4.3, 1.3], [7.7, 3, 6.1, 2.3]];
  const run = (async () => {
    for (let n = 0; going; n++) {
      const one = flowers[n % 3].map((x) => x + Math.random() * 0.3);
      await Promise.all([
        g.infer("iris", [one], { "X-User-Id": `user-${n % 997}` }),
        options.also && g.infer(options.also, [one], { "X-User-Id": `user-${n % 997}` }),
        n % 3 === 0 && g.infer("diabetes", Array.from({ length: 8 }, () => row(shift))),
        n % 5 === 0 && g.infer("digits", [Array.from({ length: 64 }, () => Math.floor(Math.random() * 17))]),
        n % 4 === 0 && g.infer("breast_cancer", [Array.from({ length: 30 }, () => Math.random() * 20)]),
      ]).catch(() => undefined);
      await new Promise((r) => setTimeout(r, options.pause ?? 25));
    }
  })();
  return {
    shift,
    async stop() {
      going = false;
      await run;
    },
  };
}
