"""LitServe over ONNX Runtime: one API per model, on the V2 path, with JSON bodies."""

import glob
import os

import litserve
import numpy as np
import onnxruntime as ort


class OnnxAPI(litserve.LitAPI):
    def __init__(self, path):
        self.file = path
        self.model = path.split("/")[-3]
        super().__init__(api_path=f"/v2/models/{self.model}/infer")

    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]

    def decode_request(self, request):
        given = request["inputs"][0]
        return {given["name"]: np.array(given["data"], np.float32).reshape(given["shape"])}

    def predict(self, inputs):
        return self.session.run(self.names, inputs)

    def encode_response(self, values):
        outputs = [
            {"name": n, "shape": list(y.shape), "datatype": "FP32", "data": y.ravel().tolist()}
            for n, y in zip(self.names, values)
        ]
        return {"model_name": self.model, "outputs": outputs}


if __name__ == "__main__":
    workers = int(os.environ["WORKERS"])
    server = litserve.LitServer(
        [OnnxAPI(path) for path in sorted(glob.glob(os.environ["MODEL_FILES"]))],
        accelerator="cpu",
        devices=1,
        workers_per_device=workers,
        fast_queue=True,  # ZeroMQ instead of multiprocessing's queue
        timeout=60,
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=workers,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
