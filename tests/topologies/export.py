"""Writes the skeletons of this folder: networks as PyTorch exports them, without their weights.

Needs torch, torchvision, timm, transformers and onnxscript, none of which the project itself needs.
The versions that were used are in README.md. Run: ``python export.py [NAME...]``.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import timm
import torch
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

HERE = Path(__file__).parent
KEPT_ELEMENTS = 256
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


@dataclass(frozen=True)
class Case:
    """A network with inputs of these shapes; `dynamo` chooses between PyTorch's two exporters."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Sequence[Tensor]
    dynamo: bool = True
    opset: int = 18


def image(size: int) -> list[Tensor]:
    """One RGB image."""
    return [torch.randn(1, 3, size, size)]


def tokens(length: int, vocabulary: int) -> list[Tensor]:
    """One sequence of token numbers."""
    return [torch.randint(0, vocabulary, (1, length))]


class UNet(nn.Module):
    """The U-Net of Ronneberger et al. with half the channels; `bilinear` upsamples by Resize."""

    def __init__(self, bilinear: bool, width: int = 32) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(
            self._double(a, b) for a, b in zip([3, *widths[:-1]], widths, strict=True)
        )
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(self._upsample(bilinear, a, b) for a, b in pairs)
        self.merge = nn.ModuleList(self._double(2 * b, b) for _, b in pairs)
        self.head = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _double(inputs: int, outputs: int) -> nn.Module:
        layers: list[nn.Module] = []
        for a in (inputs, outputs):
            layers += [
                nn.Conv2d(a, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers)

    @staticmethod
    def _upsample(bilinear: bool, inputs: int, outputs: int) -> nn.Module:
        if not bilinear:
            return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        scale = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        return nn.Sequential(scale, nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of two classes for each pixel."""
        skipped = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.max_pool2d(x, 2))
            skipped.append(x)
        skipped.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([skipped.pop(), up(x)], 1))
        return self.head(x)


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """Convolution, BatchNorm, SiLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(),
    ]
    return nn.Sequential(*layers)


class Bottlenecks(nn.Module):
    """A cross-stage partial block of `count` residual bottlenecks."""

    def __init__(self, inputs: int, outputs: int, count: int, shortcut: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.a, self.b, self.out = conv(inputs, half), conv(inputs, half), conv(outputs, outputs)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(half, half), conv(half, half, 3)) for _ in range(count)
        )
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Both branches joined."""
        a = self.a(x)
        for block in self.blocks:
            a = a + block(a) if self.shortcut else block(a)
        return self.out(torch.cat([a, self.b(x)], 1))


class Pyramid(nn.Module):
    """Spatial pyramid pooling by three poolings in a row."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = conv(channels, channels // 2), conv(2 * channels, channels)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The poolings joined."""
        x = self.a(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.b(torch.cat([x, y, z, self.pool(z)], 1))


class Detector(nn.Module):
    """A one-stage detector of the YOLO kind: backbone, two-way neck, three heads with decoding."""

    def __init__(self, width: int = 16, classes: int = 20, size: int = 256) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(conv(3, w, 3, 2), conv(w, 2 * w, 3, 2))
        self.p3 = nn.Sequential(Bottlenecks(2 * w, 2 * w, 1, True), conv(2 * w, 4 * w, 3, 2))
        self.c3 = Bottlenecks(4 * w, 4 * w, 2, True)
        self.p4 = nn.Sequential(conv(4 * w, 8 * w, 3, 2), Bottlenecks(8 * w, 8 * w, 2, True))
        self.p5 = nn.Sequential(conv(8 * w, 16 * w, 3, 2), Pyramid(16 * w))
        self.t4, self.t3 = (
            Bottlenecks(24 * w, 8 * w, 1, False),
            Bottlenecks(12 * w, 4 * w, 1, False),
        )
        self.d4, self.d5 = conv(4 * w, 4 * w, 3, 2), conv(8 * w, 8 * w, 3, 2)
        self.b4, self.b5 = (
            Bottlenecks(12 * w, 8 * w, 1, False),
            Bottlenecks(24 * w, 16 * w, 1, False),
        )
        self.heads = nn.ModuleList(nn.Conv2d(c * w, 3 * (classes + 5), 1) for c in (4, 8, 16))
        self.classes, self.size = classes, size
        self.register_buffer("anchors", torch.rand(3, 1, 3, 1, 1, 2) * size)

    def forward(self, x: Tensor) -> Tensor:
        """Boxes, objectness and classes of all anchors, [1, anchors, 5 + classes]."""
        c3 = self.c3(self.p3(self.stem(x)))
        c4 = self.p4(c3)
        c5 = self.p5(c4)
        t4 = self.t4(torch.cat([functional.interpolate(c5, scale_factor=2.0), c4], 1))
        t3 = self.t3(torch.cat([functional.interpolate(t4, scale_factor=2.0), c3], 1))
        b4 = self.b4(torch.cat([self.d4(t3), t4], 1))
        b5 = self.b5(torch.cat([self.d5(b4), c5], 1))
        found = [
            self._decode(i, head(y))
            for i, (head, y) in enumerate(zip(self.heads, (t3, b4, b5), strict=True))
        ]
        return torch.cat(found, 1)

    def _decode(self, level: int, y: Tensor) -> Tensor:
        n, _, rows, columns = y.shape
        y = y.view(n, 3, self.classes + 5, rows, columns).permute(0, 1, 3, 4, 2).sigmoid()
        grid = torch.stack(
            torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy"), -1
        )
        stride = self.size // rows
        centre = (y[..., :2] * 2 - 0.5 + grid) * stride
        extent = (y[..., 2:4] * 2) ** 2 * self.anchors[level]
        return torch.cat([centre, extent, y[..., 4:]], -1).view(n, -1, self.classes + 5)


class Recurrent(nn.Module):
    """A classifier of sequences of 16 features by its last state."""

    def __init__(self, kind: type[nn.Module], batch_first: bool, bidirectional: bool) -> None:
        super().__init__()
        self.cells = kind(16, 32, 1, batch_first=batch_first, bidirectional=bidirectional)
        self.head = nn.Linear(64 if bidirectional else 32, 10)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        """Logits of ten classes."""
        y, _ = self.cells(x)
        return self.head(y[:, -1] if self.batch_first else y[-1])


class Hidden(nn.Module):
    """The last hidden states of a transformer."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """States of all tokens."""
        return self.body(x).last_hidden_state


class Segmentation(nn.Module):
    """The map that a torchvision segmentation network calls `out`."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Logits for each pixel."""
        return self.body(x)["out"]


def bert(layers: int) -> nn.Module:
    """BERT of the base configuration with fewer layers."""
    config = BertConfig(num_hidden_layers=layers, attn_implementation="eager")
    return Hidden(BertModel(config, add_pooling_layer=False))


def gpt2(layers: int) -> nn.Module:
    """GPT-2 of the smallest published width with fewer blocks."""
    config = GPT2Config(n_layer=layers, attn_implementation="eager", use_cache=False)
    return Hidden(GPT2Model(config))


def deeplab() -> nn.Module:
    """DeepLabV3 on MobileNetV3."""
    return Segmentation(
        models.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)
    )


def recurrent(kind: type[nn.Module], first: bool, both: bool) -> Callable[[], nn.Module]:
    """A recurrent classifier."""
    return lambda: Recurrent(kind, first, both)


def vision(name: str, **options: object) -> Callable[[], nn.Module]:
    """A torchvision classifier with random weights."""
    return lambda: models.get_model(name, weights=None, **options)


def pytorch_image(name: str, **options: object) -> Callable[[], nn.Module]:
    """A timm classifier with random weights."""
    return lambda: timm.create_model(name, pretrained=False, **options)


_INCEPTION = {"aux_logits": False, "init_weights": False}
CASES = (
    Case("resnet18", vision("resnet18"), image(224)),
    Case("resnet50", vision("resnet50"), image(224)),
    Case("vgg16", vision("vgg16"), image(224)),
    Case("squeezenet1_1", vision("squeezenet1_1"), image(224)),
    Case("googlenet", vision("googlenet", **_INCEPTION), image(224)),
    Case("inception_v3", vision("inception_v3", **_INCEPTION), image(299)),
    Case("mobilenet_v2", vision("mobilenet_v2"), image(224)),
    Case("mobilenet_v3_small", vision("mobilenet_v3_small"), image(224)),
    Case("efficientnet_b0", vision("efficientnet_b0"), image(224)),
    Case("shufflenet_v2_x1_0", vision("shufflenet_v2_x1_0"), image(224)),
    Case("densenet121", vision("densenet121"), image(224)),
    Case("convnext_tiny", vision("convnext_tiny"), image(224)),
    Case("vit_b_16", vision("vit_b_16"), image(224)),
    Case("swin_t", vision("swin_t"), image(224)),
    Case("deeplabv3_mobilenet_v3_large", deeplab, image(224)),
    Case("deit_tiny", pytorch_image("deit_tiny_patch16_224"), image(224)),
    Case("resnet18_ts", vision("resnet18"), image(224), dynamo=False, opset=17),
    Case("mobilenet_v2_ts", vision("mobilenet_v2"), image(224), dynamo=False, opset=13),
    Case("vit_b_16_ts", vision("vit_b_16"), image(224), dynamo=False, opset=17),
    Case("swin_t_ts", vision("swin_t"), image(224), dynamo=False, opset=17),
    Case("bert_2_layers", lambda: bert(2), tokens(128, 30522)),
    Case("gpt2_1_block", lambda: gpt2(1), tokens(64, 50257)),
    Case("unet", lambda: UNet(bilinear=False), image(128)),
    Case("unet_bilinear", lambda: UNet(bilinear=True), image(128)),
    Case("detector", Detector, image(256)),
    Case("lstm", recurrent(nn.LSTM, True, False), [torch.randn(1, 20, 16)]),
    Case("lstm_both_ways", recurrent(nn.LSTM, False, True), [torch.randn(20, 1, 16)]),
    Case("gru", recurrent(nn.GRU, True, False), [torch.randn(1, 20, 16)]),
    Case("gru_ts", recurrent(nn.GRU, True, False), [torch.randn(1, 20, 16)], False, 17),
    # The same at sizes that the machine runs quickly.
    Case("resnet50_64", vision("resnet50"), image(64)),
    Case("mobilenet_v2_64", vision("mobilenet_v2"), image(64)),
    Case("mobilenet_v3_small_64", vision("mobilenet_v3_small"), image(64)),
    Case("efficientnet_b0_64", vision("efficientnet_b0"), image(64)),
    Case("shufflenet_v2_x1_0_64", vision("shufflenet_v2_x1_0"), image(64)),
    Case("densenet121_64", vision("densenet121"), image(64)),
    Case("googlenet_64", vision("googlenet", **_INCEPTION), image(64)),
    Case("inception_v3_96", vision("inception_v3", **_INCEPTION), image(96)),
    Case("convnext_tiny_64", vision("convnext_tiny"), image(64)),
    Case("vit_b_16_64", vision("vit_b_16", image_size=64), image(64)),
    Case("swin_t_64", vision("swin_t"), image(64)),
    Case("deeplabv3_mobilenet_v3_large_64", deeplab, image(64)),
    Case("unet_64", lambda: UNet(bilinear=False), image(64)),
    Case("unet_bilinear_64", lambda: UNet(bilinear=True), image(64)),
    Case("detector_64", lambda: Detector(size=64), image(64)),
    Case(
        "vit_micro",
        pytorch_image("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10),
        image(64),
    ),
)


def export(case: Case) -> onnx.ModelProto:
    """The network as the exporter writes it."""
    torch.manual_seed(0)
    module, inputs = case.build().eval(), tuple(case.inputs)
    written = io.BytesIO()
    if case.dynamo:
        program = torch.onnx.export(
            module, inputs, dynamo=True, opset_version=case.opset, verbose=False
        )
        return program.model_proto
    torch.onnx.export(module, inputs, written, dynamo=False, opset_version=case.opset)
    return onnx.load_from_string(written.getvalue())


def strip(model: onnx.ModelProto) -> None:
    """Remove the data of large float weights, and what only debuggers read."""
    for tensor in model.graph.initializer:
        elements = 1
        for extent in tensor.dims:
            elements *= extent
        if tensor.data_type in _FLOATS and elements > KEPT_ELEMENTS:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for entry in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        entry.ClearField("doc_string")
        del entry.metadata_props[:]
    del model.graph.value_info[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]


def main(names: list[str]) -> None:
    """Write the chosen skeletons, or all."""
    warnings.simplefilter("ignore")
    for case in CASES:
        if names and case.name not in names:
            continue
        try:
            model = export(case)
        except Exception as error:
            print(f"{case.name}: {type(error).__name__}: {str(error)[:300]}")
            continue
        strip(model)
        path = HERE / f"{case.name}.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        print(
            f"{case.name}: {len(model.graph.node)} nodes, {path.stat().st_size} bytes", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
