"""Trains a small PyTorch network that predicts how diabetes progresses within a year, and exports it."""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


class Net(torch.nn.Module):
    """Takes measurements in their original units, [rows, 10], and scales them."""

    def __init__(self, train: torch.Tensor, target: torch.Tensor):
        super().__init__()
        self.register_buffer("mean", train.mean(dim=0))
        self.register_buffer("deviation", train.std(dim=0))
        self.register_buffer("target_mean", target.mean())
        self.register_buffer("target_deviation", target.std())
        self.layers = torch.nn.Sequential(torch.nn.Linear(train.shape[1], 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))

    def forward(self, measurements: torch.Tensor) -> torch.Tensor:
        scaled = (measurements - self.mean) / self.deviation
        return self.layers(scaled).squeeze(1) * self.target_deviation + self.target_mean


def fit(rows: torch.Tensor, target: torch.Tensor) -> Net:
    net = Net(rows, target)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(rows), target).backward()
        optimizer.step()
    return net.eval()


def main() -> None:
    torch.manual_seed(1)
    data = load_diabetes(scaled=False)
    tensors = [torch.tensor(a.astype(np.float32)) for a in train_test_split(data.data, data.target, test_size=0.3, random_state=1)]
    train, test, train_y, test_y = tensors
    net = fit(train, train_y)
    with torch.no_grad():
        error = (net(test) - test_y).abs().mean()
    print(f"mean error for {len(test)} patients that it was not trained on: {error:.1f}")

    program = torch.onnx.export(
        net,
        (train[:2],),  # an example with two rows, since older versions treat one as a constant
        input_names=["measurements"],
        output_names=["progression"],
        dynamic_shapes={"measurements": {0: torch.export.Dim("rows")}},
        dynamo=True,
    )
    # The exporter stores each operator's place in the source, with the paths of this machine.
    for node in program.model.graph:
        node.metadata_props.clear()
    path = HERE / "1" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    program.save(path, external_data=False)  # one file

    # PyTorch's own answers, for comparison with the gateway's.
    asked = test[::12]
    with torch.no_grad():
        progression = net(asked)
    answers = {
        "tolerance": 1e-5,
        "inputs": {"measurements": asked.tolist()},
        "outputs": {"progression": progression.tolist()},
    }
    (HERE / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
