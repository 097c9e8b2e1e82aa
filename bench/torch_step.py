"""The training steps of `npm run bench` in PyTorch eager, for comparison.

Reads one JSON request a line: {"net": one of NETS, "layout": "nchw" | "channels_last", "batch": 128,
"steps": 3, "momentum": 0.9, "rate": 0.01, "lambda": 6e-5 or null}, and answers with one line: {"ms": 123.4},
milliseconds per step, or {"error": "..."}. A net is built and warmed up at its first
request; on a GPU, the nets before it make room.
Usage: torch_step.py THREADS [cpu | auto]; auto takes the GPU where PyTorch reaches one. There matrix products are allowed
to be computed in TF32, as onnxruntime does.
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


class Resnet(nn.Sequential):
    def __init__(self, depth):
        layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        width = 16
        for stage in (16, 32, 64):
            for block in range((depth - 2) // 6):
                layers.append(Block(width, stage, 2 if stage > 16 and block == 0 else 1))
                width = stage
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Bottleneck(nn.Module):
    def __init__(self, width_in, inner, stride):
        super().__init__()
        outer = 4 * inner
        self.conv1 = nn.Conv2d(width_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.shortcut = None
        if stride > 1 or width_in != outer:
            self.shortcut = nn.Sequential(nn.Conv2d(width_in, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Resnet50(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        width = 64
        for stage, count in enumerate((3, 4, 6, 3)):
            for block in range(count):
                inner = 64 * 2**stage
                layers.append(Bottleneck(width, inner, 2 if stage > 0 and block == 0 else 1))
                width = 4 * inner
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


class Encoder(nn.Module):
    """BERT's size, without the embedding; attention by products, as the ONNX model has it."""

    def __init__(self, layers=12, width=768, heads=12):
        super().__init__()
        names = {"q": width, "k": width, "v": width, "out": width, "up": 4 * width}
        self.heads = heads
        self.layers = nn.ModuleList()
        for _ in range(layers):
            parts = {name: nn.Linear(width, out) for name, out in names.items()}
            parts["down"] = nn.Linear(4 * width, width)
            parts["norm1"], parts["norm2"] = nn.LayerNorm(width, 1e-12), nn.LayerNorm(width, 1e-12)
            self.layers.append(nn.ModuleDict(parts))
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        batch, tokens, width = x.shape
        split = lambda y: y.view(batch, tokens, self.heads, -1).transpose(1, 2)
        for layer in self.layers:
            q, k, v = (split(layer[name](x)) for name in ("q", "k", "v"))
            scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
            mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, width)
            x = layer["norm1"](x + layer["out"](mixed))
            x = layer["norm2"](x + layer["down"](F.gelu(layer["up"](x))))
        return self.head(x[:, 0])


class Mnist(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Linear(1024, 10),
        )


# Builder, shape of one sample, classes.
NETS = {
    "mnist": (Mnist, (1, 28, 28), 10),
    "resnet20": (lambda: Resnet(20), (3, 32, 32), 10),
    "resnet56": (lambda: Resnet(56), (3, 32, 32), 10),
    "resnet50": (Resnet50, (3, 224, 224), 1000),
    "bert": (Encoder, (128, 768), 2),
}


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
    def __init__(self, request, device):
        torch.manual_seed(0)
        self.request = request
        build, shape, classes = NETS[request["net"]]
        self.model = build().to(device)
        self.x = torch.rand(request["batch"], *shape, device=device)
        self.y = torch.randint(0, classes, (request["batch"],), device=device)
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


def answer(workloads, request, device):
    key = (request["net"], request["layout"], request["batch"])
    if key not in workloads:
        if any(net != request["net"] for net, _, _ in workloads) and device == "cuda":
            workloads.clear()
            torch.cuda.empty_cache()
        workloads[key] = Workload(request, device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    for _ in range(request["steps"]):
        workloads[key].step()
    wait()
    return {"ms": (time.perf_counter() - started) * 1000 / request["steps"]}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    auto = len(sys.argv) > 2 and sys.argv[2] == "auto"
    device = "cuda" if auto and torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    print(json.dumps({"version": torch.__version__, "device": name}), flush=True)
    workloads = {}
    for line in sys.stdin:
        try:
            print(json.dumps(answer(workloads, json.loads(line), device)), flush=True)
        except Exception as error:  # the other side goes on without this net
            print(json.dumps({"error": str(error).splitlines()[0]}), flush=True)


main()
