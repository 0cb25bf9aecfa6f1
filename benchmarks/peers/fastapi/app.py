"""FastAPI over ONNX Runtime, written for speed.

The body is read raw and parsed by orjson, and the model runs in the handler itself: no
pydantic model of the request, no thread pool. Each uvicorn worker has sessions of its own.
"""

import glob
import os

import numpy as np
import onnxruntime as ort
import orjson
from fastapi import FastAPI, Request, Response

LENGTH = "inference-header-content-length"


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


sessions = {path.split("/")[-3]: session(path) for path in glob.glob(os.environ["MODEL_FILES"])}
names = {model: [o.name for o in s.get_outputs()] for model, s in sessions.items()}
app = FastAPI(openapi_url=None)


@app.get("/v2/health/ready")
async def ready():
    return {"ready": True}


@app.post("/v2/models/{model}/infer")
async def infer(model: str, request: Request):
    body = await request.body()
    length = request.headers.get(LENGTH)
    if length is None:
        given = orjson.loads(body)["inputs"][0]
        x = np.array(given["data"], np.float32)
    else:
        given = orjson.loads(body[: int(length)])["inputs"][0]
        x = np.frombuffer(body, np.float32, offset=int(length))
        if not x.flags.aligned:
            x = x.copy()
    values = sessions[model].run(names[model], {given["name"]: x.reshape(given["shape"])})

    outputs = [{"name": n, "shape": y.shape, "datatype": "FP32"} for n, y in zip(names[model], values)]
    answer = {"model_name": model, "model_version": "1", "outputs": outputs}
    if length is None:
        for output, y in zip(outputs, values):
            output["data"] = y.ravel()
        return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
    for output, y in zip(outputs, values):
        output["parameters"] = {"binary_data_size": y.nbytes}
    head = orjson.dumps(answer)
    return Response(
        b"".join([head, *(y.tobytes() for y in values)]),
        media_type="application/octet-stream",
        headers={LENGTH: str(len(head))},
    )
