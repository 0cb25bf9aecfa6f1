"""A small convolutional network for the 8x8 digits, trained with numpy and written as ONNX.

image [batch, 64] -> scale to 0..1 -> [batch, 1, 8, 8]
  -> 3x3 convolution, 8 channels, ReLU, 2x2 max pool -> [batch, 8, 4, 4]
  -> 3x3 convolution, 16 channels, ReLU, 2x2 max pool -> [batch, 16, 2, 2]
  -> dense -> 10 logits -> softmax
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CHANNELS = (1, 8, 16)
SIDE = 8
PIXEL_MAX = 16.0
CLASSES = 10
EPOCHS = 60
BATCH = 32
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-4
# Weights are stored on a grid of 2^-12: coarse enough to hide the last bits in which the
# matrix kernels of different CPUs differ, so that training gives the same file on all of them.
GRID = 4096.0


def _patches(x: np.ndarray) -> np.ndarray:
    """Returns the 3x3 neighbourhoods of [n, c, s, s], zero padded, as [n, s, s, c*9]."""
    n, c, s, _ = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, s, s, c * 9)


class _ConvBlock:
    """Convolution, ReLU, max pool; remembers what its backward pass needs."""

    def __init__(self, w: np.ndarray, b: np.ndarray):
        self.w, self.b = w, b  # [c_out, c_in*9], [c_out]

    def forward(self, x: np.ndarray) -> np.ndarray:
        n, c_in, s, _ = x.shape
        c_out, h = len(self.b), s // 2
        self.shape, self.patches = x.shape, _patches(x)
        z = self.patches.reshape(-1, c_in * 9) @ self.w.T + self.b
        cells = z.reshape(n, h, 2, h, 2, c_out).transpose(0, 5, 1, 3, 2, 4).reshape(n, c_out, h, h, 4)
        self.argmax = cells.argmax(axis=-1)[..., None]
        top = np.take_along_axis(cells, self.argmax, axis=-1)[..., 0]
        self.active = top > 0
        return top * self.active

    def backward(self, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Takes d(loss)/d(output); returns it for the weights, the biases and the input."""
        n, c_in, s, _ = self.shape
        c_out, h = len(self.b), s // 2
        cells = np.zeros((n, c_out, h, h, 4))
        np.put_along_axis(cells, self.argmax, (grad * self.active)[..., None], axis=-1)
        dz = cells.reshape(n, c_out, h, h, 2, 2).transpose(0, 2, 4, 3, 5, 1).reshape(-1, c_out)
        dpatches = (dz @ self.w).reshape(n, s, s, c_in, 3, 3)
        dx = np.zeros((n, c_in, s + 2, s + 2))
        for i in range(3):
            for j in range(3):
                dx[:, :, i : i + s, j : j + s] += dpatches[..., i, j].transpose(0, 3, 1, 2)
        return dz.T @ self.patches.reshape(-1, c_in * 9), dz.sum(axis=0), dx[:, :, 1:-1, 1:-1]


class _Adam:
    """Adam with decoupled weight decay on matrices, updating the arrays in place."""

    def __init__(self, arrays: list[np.ndarray]):
        self.arrays, self.step = arrays, 0
        self.mean = [np.zeros_like(a) for a in arrays]
        self.square = [np.zeros_like(a) for a in arrays]

    def update(self, grads: list[np.ndarray], rate: float) -> None:
        self.step += 1
        for a, g, m, v in zip(self.arrays, grads, self.mean, self.square):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            scale = np.sqrt(v / (1 - 0.999**self.step)) + 1e-8
            a -= rate * m / (1 - 0.9**self.step) / scale
            if a.ndim == 2:
                a -= rate * WEIGHT_DECAY * a


def _initial(rng: np.random.Generator) -> list[np.ndarray]:
    arrays = []
    fans = [(CHANNELS[1], CHANNELS[0] * 9), (CHANNELS[2], CHANNELS[1] * 9), (CLASSES, CHANNELS[2] * 4)]
    for fan_out, fan_in in fans:
        arrays += [rng.standard_normal((fan_out, fan_in)) * np.sqrt(2 / fan_in), np.zeros(fan_out)]
    return arrays


def train(x: np.ndarray, y: np.ndarray, seed: int) -> list[np.ndarray]:
    """Fits the network to images [n, 64] of 0..16; returns [w1, b1, w2, b2, w3, b3] on the grid."""
    rng = np.random.default_rng(seed)
    arrays = _initial(rng)
    w1, b1, w2, b2, w3, b3 = arrays
    first, second, adam = _ConvBlock(w1, b1), _ConvBlock(w2, b2), _Adam(arrays)
    images = (x.astype(np.float64) / PIXEL_MAX).reshape(-1, 1, SIDE, SIDE)
    targets = np.eye(CLASSES)[y]
    for epoch in range(EPOCHS):
        rate = LEARNING_RATE * (1 - epoch / EPOCHS)
        order = rng.permutation(len(images))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            hidden = second.forward(first.forward(images[rows]))
            flat = hidden.reshape(len(rows), -1)
            logits = flat @ w3.T + b3
            p = np.exp(logits - logits.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            dlogits = (p - targets[rows]) / len(rows)
            dw2, db2, dhidden = second.backward((dlogits @ w3).reshape(hidden.shape))
            dw1, db1, _ = first.backward(dhidden)
            adam.update([dw1, db1, dw2, db2, dlogits.T @ flat, dlogits.sum(axis=0)], rate)
    return [np.round(a * GRID) / GRID for a in arrays]


def graph(arrays: list[np.ndarray]):
    """Returns the ONNX graph: input [batch, 64], outputs label [batch] and probabilities [batch, 10]."""
    w1, b1, w2, b2, w3, b3 = (a.astype(np.float32) for a in arrays)
    constants = {
        "pixel_max": np.float32(PIXEL_MAX),
        "image_shape": np.array([0, 1, SIDE, SIDE], np.int64),  # 0 keeps the batch dimension
        "w1": w1.reshape(CHANNELS[1], CHANNELS[0], 3, 3),
        "b1": b1,
        "w2": w2.reshape(CHANNELS[2], CHANNELS[1], 3, 3),
        "b2": b2,
        "w3": w3,
        "b3": b3,
    }
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Div", ["input", "pixel_max"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "image_shape"], ["image"]),
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], **conv),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("MaxPool", ["relu1"], ["pool1"], **pool),
        helper.make_node("Conv", ["pool1", "w2", "b2"], ["conv2"], **conv),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("MaxPool", ["relu2"], ["pool2"], **pool),
        helper.make_node("Flatten", ["pool2"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    info = helper.make_tensor_value_info
    return helper.make_graph(
        nodes,
        "digits",
        [info("input", TensorProto.FLOAT, ["batch", SIDE * SIDE])],
        [info("label", TensorProto.INT64, ["batch"]), info("probabilities", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
