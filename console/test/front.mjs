// What may stand before an admin port: a reverse proxy with a path prefix, a certificate, an issuer of tokens.
import { execFile } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * proxy serves an address below a prefix, such as "/ops/sluice/". It forwards requests without the prefix, and answers and streams as
 * they come. It keeps the paths that it refused, which were not below the prefix.
 */
export async function proxy(to, prefix) {
  const target = new URL(to);
  const strays = [];
  const server = createServer((asked, answer) => {
    if (!asked.url.startsWith(prefix)) {
      strays.push(asked.url);
      answer.writeHead(404).end();
      return;
    }
    const path = asked.url.slice(prefix.length - 1);
    const onward = request({ host: target.hostname, port: target.port, method: asked.method, path, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    onward.on("error", () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  await new Promise((r) => server.listen(0, "127.0.0.1", r));
  return {
    at: `http://127.0.0.1:${server.address().port}${prefix}`,
    strays,
    close: () =>
      new Promise((r) => {
        server.close(r);
        server.closeAllConnections();
      }),
  };
}

/** certificate writes a certificate for 127.0.0.1, signed by itself, and its key to a folder. It needs openssl. */
export async function certificate(folder) {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  await promisify(execFile)("openssl", ["req", ...options, "-subj", "/CN=console", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert]);
  return { cert, key };
}

const text = (x) => Buffer.from(JSON.stringify(x)).toString("base64url");

/** issuer writes its public key to a folder, and signs tokens that end after so many seconds. */
export async function issuer(folder) {
  const name = "https://issuer.example";
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const file = join(folder, "keys.json");
  await writeFile(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }] }));
  return {
    name,
    file,
    token(subject, seconds) {
      const now = Math.floor(Date.now() / 1000);
      const signed = `${text({ alg: "ES256", typ: "JWT", kid: "one" })}.${text({ iss: name, aud: "sluice", sub: subject, iat: now, exp: now + seconds })}`;
      return `${signed}.${sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    },
  };
}
