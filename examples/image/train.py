"""Trains a small network that reads handwritten digits from pictures, and exports it with PyTorch."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
SIDE = 32  # of a picture


class Net(torch.nn.Module):
    """Takes the pixels of grey pictures, UINT8 [pictures, 32, 32], and scales them."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.AvgPool2d(4),
            torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Flatten(), torch.nn.Linear(64, 10), torch.nn.Softmax(dim=1),
        )  # fmt: skip

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures.unsqueeze(1).to(torch.float32) / 255)


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Returns the digits of scikit-learn, 8x8 of 0..16, as grey pictures of 32x32."""
    data = load_digits()
    grey = np.round(data.images * 255 / 16).astype(np.uint8)
    return grey.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2), data.target


def fit(train: torch.Tensor, digits: torch.Tensor) -> Net:
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    for _ in range(15):
        for rows in torch.randperm(len(train)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.nll_loss(net(train[rows]).clamp_min(1e-9).log(), digits[rows]).backward()
            optimizer.step()
    return net.eval()


def main() -> None:
    torch.manual_seed(1)
    images, digits = pictures()
    tensors = [torch.tensor(a) for a in train_test_split(images, digits, test_size=0.3, random_state=1, stratify=digits)]
    train, test, train_y, test_y = tensors
    net = fit(train, train_y)
    with torch.no_grad():
        right = (net(test).argmax(dim=1) == test_y).float().mean()
    print(f"accuracy on {len(test)} digits that it was not trained on: {right:.3f}")

    program = torch.onnx.export(
        net,
        (train[:2],),  # an example with two pictures, since older versions treat one as a constant
        input_names=["pictures"],
        output_names=["probabilities"],
        dynamic_shapes={"pictures": {0: torch.export.Dim("batch")}},
        dynamo=True,
    )
    # The exporter stores each operator's place in the source, with the paths of this machine.
    for node in program.model.graph:
        node.metadata_props.clear()
    path = HERE / "1" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    program.save(path, external_data=False)  # one file
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    (path.parent / "labels.txt").write_text("".join(f"{name}\n" for name in names))
    Image.fromarray(test[1].numpy()).save(HERE / "digit.png")

    # PyTorch's own answers, for comparison with the gateway's.
    asked = test[:4]
    with torch.no_grad():
        probabilities = net(asked)
    answers = {
        "tolerance": 1e-5,
        "inputs": {"pictures": asked.tolist()},
        "outputs": {"probabilities": probabilities.tolist()},
    }
    (HERE / "answers.json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
