"""KServe's Python model server with a model of its own kind over ONNX Runtime."""

import glob
import logging
import os

import numpy as np
import onnxruntime as ort
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid

# Not by --log_config_file: a worker that KServe starts in another's place is not told of it
# and logs each request. Workers import this file too, and KServe leaves a logger with a
# handler alone.
logging.basicConfig(level=logging.WARNING)


class OnnxModel(Model):
    """KServe pickles its models into workers that it spawns; a session cannot be pickled and is made again there."""

    def __init__(self, path):
        super().__init__(path.split("/")[-3])
        self.file = path
        self.load()

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "session"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.load()

    def load(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]
        self.ready = True
        return True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        inputs = {i.name: i.as_numpy().astype(np.float32, copy=False) for i in payload.inputs}
        binary = bool(payload.use_binary_outputs)
        outputs = []
        for name, y in zip(self.names, self.session.run(self.names, inputs)):
            output = InferOutput(name=name, shape=list(y.shape), datatype="FP32")
            output.set_data_from_numpy(y, binary_data=binary)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or generate_uuid(),
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=binary,
        )


if __name__ == "__main__":  # ModelServer reads the command line itself
    ModelServer().start([OnnxModel(path) for path in sorted(glob.glob(os.environ["MODEL_FILES"]))])
