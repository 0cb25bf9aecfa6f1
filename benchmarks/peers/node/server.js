// fastify over onnxruntime-node, one process per worker. Arguments: port, workers.
'use strict';
const cluster = require('node:cluster');
const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');

const [port, workers] = process.argv.slice(2).map(Number);
const LENGTH = 'inference-header-content-length';

if (cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork();
  process.on('SIGTERM', () => { // the process ends with its last worker
    for (const w of Object.values(cluster.workers)) w.process.kill();
  });
} else {
  serve();
}

// MODELS is a folder of NAME/1/model.onnx; MODEL is a name, or * for all.
async function load(ort) {
  const { MODELS, MODEL } = process.env;
  const list = MODEL === '*' ? fs.readdirSync(MODELS) : [MODEL];
  const sessions = new Map();
  for (const model of list) {
    const file = path.join(MODELS, model, '1', 'model.onnx');
    if (!fs.existsSync(file)) continue;
    sessions.set(model, await ort.InferenceSession.create(file, {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    }));
  }
  return sessions;
}

async function serve() {
  const need = createRequire(path.join(process.env.PACKAGES, 'package.json')); // installed beside the cache, not here
  const ort = need('onnxruntime-node');
  const sessions = await load(ort);
  const app = need('fastify')({ logger: false, bodyLimit: 64 << 20 });

  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (req, body, done) => done(null, body));
  app.get('/v2/health/ready', async () => ({ ready: true }));
  app.post('/v2/models/:model/infer', { schema: { response: { 200: answerSchema() } } }, async (req, reply) => {
    const { model } = req.params;
    const length = req.headers[LENGTH];
    const binary = length !== undefined;
    const [given, numbers] = binary ? splitBody(req.body, Number(length)) : fromJSON(req.body);
    const values = await sessions.get(model).run({ [given.name]: new ort.Tensor('float32', numbers, given.shape) });

    const outputs = Object.entries(values).map(([name, y]) => ({
      name, shape: y.dims, datatype: 'FP32',
      ...(binary ? { parameters: { binary_data_size: y.data.byteLength } } : { data: Array.from(y.data) }),
    }));
    const answer = { model_name: model, model_version: '1', outputs };
    if (!binary) return answer;
    const head = Buffer.from(JSON.stringify(answer));
    reply.header(LENGTH, head.length).type('application/octet-stream').serializer((body) => body);
    return Buffer.concat([head, ...Object.values(values).map((y) => Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength))]);
  });
  await app.listen({ port, host: '127.0.0.1' });
}

function fromJSON(body) {
  const given = body.inputs[0];
  return [given, Float32Array.from(given.data)];
}

// The numbers are copied: a Float32Array has to begin at a multiple of 4 of its buffer.
function splitBody(body, length) {
  const given = JSON.parse(body.toString('utf8', 0, length)).inputs[0];
  return [given, new Float32Array(body.buffer.slice(body.byteOffset + length, body.byteOffset + body.length))];
}

// A schema lets fastify compile a serializer.
function answerSchema() {
  const list = (type) => ({ type: 'array', items: { type } });
  return {
    type: 'object',
    properties: {
      model_name: { type: 'string' },
      model_version: { type: 'string' },
      outputs: {
        type: 'array',
        items: {
          type: 'object',
          properties: { name: { type: 'string' }, shape: list('integer'), datatype: { type: 'string' }, data: list('number') },
        },
      },
    },
  };
}
