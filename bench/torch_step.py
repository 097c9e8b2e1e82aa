"""The training steps of `npm run bench` in PyTorch eager, for comparison.

Reads one JSON request a line: {"net": "resnet20" | "mnist", "layout": "nchw" | "channels_last", "batch": 128,
"steps": 3, "momentum": 0.9, "rate": 0.01, "lambda": 6e-5 or null}, and answers with one line: {"ms": 123.4},
milliseconds per step. A net is built and warmed up at its first request. Usage: torch_step.py THREADS
"""

import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.added = width - width_in

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.added:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return F.relu(x + y)


class Resnet20(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        width = 16
        for stage in (16, 32, 64):
            for block in range(3):
                layers.append(Block(width, stage, 2 if stage > 16 and block == 0 else 1))
                width = stage
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Mnist(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Linear(1024, 10),
        )


@torch.no_grad()
def proximal(layers, rate, strength, m=0.2):
    """Group part over whole units (weights and bias; not of the last layer), then the exclusive part, in place."""
    count = len(layers)
    for index, layer in enumerate(layers):
        mu = m + (1 - 2 * m) * index / (count - 1)
        weight, bias = layer.weight, layer.bias
        if index < count - 1:
            axes = tuple(range(1, weight.dim()))
            norm = torch.linalg.vector_norm(weight, dim=axes).square_().addcmul_(bias, bias).sqrt_()
            limit = rate * strength * (1 - mu) * math.sqrt(weight[0].numel() + 1)
            scale = (1 - limit / norm.clamp_min(1e-30)).clamp_min_(0)
            weight.mul_(scale.view(-1, *(1 for _ in axes)))
            bias.mul_(scale)
        limit = torch.linalg.vector_norm(weight, ord=1, dim=0, keepdim=True).mul_(rate * strength * mu)
        weight.sub_(torch.clamp(weight, -limit, limit))


class Workload:
    def __init__(self, request):
        torch.manual_seed(0)
        self.request = request
        batch = request["batch"]
        self.model = Resnet20() if request["net"] == "resnet20" else Mnist()
        self.x = torch.rand(batch, 3, 32, 32) if request["net"] == "resnet20" else torch.rand(batch, 1, 28, 28)
        self.y = torch.randint(0, 10, (batch,))
        if request["layout"] == "channels_last":
            self.model = self.model.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        self.layers = [l for l in self.model.modules() if isinstance(l, (nn.Conv2d, nn.Linear))]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=request["rate"], momentum=request["momentum"])
        self.step()

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()
        if self.request["lambda"] is not None:
            proximal(self.layers, self.request["rate"], self.request["lambda"])


def main():
    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({"version": torch.__version__}), flush=True)
    workloads = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = (request["net"], request["layout"])
        if key not in workloads:
            workloads[key] = Workload(request)
        started = time.perf_counter()
        for _ in range(request["steps"]):
            workloads[key].step()
        ms = (time.perf_counter() - started) * 1000 / request["steps"]
        print(json.dumps({"ms": ms}), flush=True)


main()
