"""The five small networks, written so that their ONNX graphs stay plain.

Every layer is its own submodule, called once, because the ONNX exporter names
nodes after submodules: `stack1.conv1` becomes the node `/stack1/conv1/Conv`.

A batch norm is named after the layer it follows: `bn1` belongs to `conv1` (or
`fc1`), `bn_dw` to `conv_dw`. `export.fold_batch_norms` relies on that.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Make a padded 3x3 convolution without bias; the batch norm after it has one."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False)


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a pointwise convolution without bias; the batch norm after it has one."""
    return nn.Conv2d(inputs, outputs, 1, bias=False)


class Mlp(nn.Module):
    """784-256-128-10 perceptron; the image is flattened inside the network."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(784, 256)
        self.bn1 = nn.BatchNorm1d(256)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(256, 128)
        self.bn2 = nn.BatchNorm1d(128)
        self.relu2 = nn.ReLU()
        self.fc3 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = self.relu1(self.bn1(self.fc1(self.flatten(x))))
        x = self.relu2(self.bn2(self.fc2(x)))
        logits: Tensor = self.fc3(x)
        return logits


class LeNet(nn.Module):
    """LeNet-5 with batch norm, and one pooling layer of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(400, 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))
        x = self.pool2(self.relu2(self.bn2(self.conv2(x))))
        x = self.relu3(self.fc1(self.flatten(x)))
        logits: Tensor = self.fc3(self.relu4(self.fc2(x)))
        return logits


class ResidualStack(nn.Module):
    """Two 3x3 convolutions beside a shortcut, as in the MLPerf Tiny ResNet-8.

    A stack that strides has a 1x1 convolution (with bias, without batch norm,
    as in the MLPerf reference) on its shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Add the two paths, then rectify."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        total: Tensor = self.relu2(residual + self.shortcut(x))
        return total


class ResNet8(nn.Module):
    """The MLPerf Tiny ResNet-8 topology (16/32/64 channels) for 28x28x1 images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv3x3(1, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu1 = nn.ReLU()
        self.stack1 = ResidualStack(16, 16, stride=1)
        self.stack2 = ResidualStack(16, 32, stride=2)
        self.stack3 = ResidualStack(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.stack3(self.stack2(self.stack1(x)))
        logits: Tensor = self.fc(self.flatten(self.pool(x)))
        return logits


class SeparableConv(nn.Module):
    """The MobileNetV1 block: depthwise 3x3, then pointwise, each with ReLU6."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = conv3x3(inputs, inputs, stride, groups=inputs)
        self.bn_dw = nn.BatchNorm2d(inputs)
        self.act_dw = nn.ReLU6()
        self.conv_pw = conv1x1(inputs, outputs)
        self.bn_pw = nn.BatchNorm2d(outputs)
        self.act_pw = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """Filter each channel, then mix the channels."""
        x = self.act_dw(self.bn_dw(self.conv_dw(x)))
        mixed: Tensor = self.act_pw(self.bn_pw(self.conv_pw(x)))
        return mixed


class InvertedResidual(nn.Module):
    """The MobileNetV2 block: expand, depthwise 3x3, linear projection, Add."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.conv_expand = conv1x1(inputs, hidden)
        self.bn_expand = nn.BatchNorm2d(hidden)
        self.act_expand = nn.ReLU6()
        self.conv_dw = conv3x3(hidden, hidden, stride, groups=hidden)
        self.bn_dw = nn.BatchNorm2d(hidden)
        self.act_dw = nn.ReLU6()
        self.conv_project = conv1x1(hidden, outputs)
        self.bn_project = nn.BatchNorm2d(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Add the input where the block keeps the tensor's shape."""
        y = self.act_expand(self.bn_expand(self.conv_expand(x)))
        y = self.act_dw(self.bn_dw(self.conv_dw(y)))
        projected: Tensor = self.bn_project(self.conv_project(y))
        return x + projected if self.residual else projected


class MobileNet(nn.Module):
    """A small MobileNet for 28x28x1 images with V1 and V2 blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = conv3x3(1, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.act1 = nn.ReLU6()
        self.block1 = SeparableConv(16, 32, stride=2)
        self.block2 = InvertedResidual(32, 32, stride=1, expansion=3)
        self.block3 = InvertedResidual(32, 48, stride=2, expansion=3)
        self.block4 = InvertedResidual(48, 48, stride=1, expansion=3)
        self.block5 = SeparableConv(48, 96, stride=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 1, 28, 28) to logits (N, 10)."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.block3(self.block2(self.block1(x)))
        x = self.block5(self.block4(x))
        logits: Tensor = self.fc(self.flatten(self.pool(x)))
        return logits


class WatchCnn(nn.Module):
    """A 1-D CNN over windows of a six-channel inertial signal, seven classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(6, 32, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm1d(32)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool1d(2)
        self.conv2 = nn.Conv1d(32, 32, 5, padding=2, bias=False)
        self.bn2 = nn.BatchNorm1d(32)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool1d(2)
        self.conv3 = nn.Conv1d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm1d(64)
        self.relu3 = nn.ReLU()
        self.pool3 = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Map windows (N, 6, T) to logits (N, 7)."""
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))
        x = self.pool2(self.relu2(self.bn2(self.conv2(x))))
        x = self.relu3(self.bn3(self.conv3(x)))
        logits: Tensor = self.fc(self.flatten(self.pool3(x)))
        return logits


def count_macs(model: nn.Module, sample_shape: tuple[int, ...]) -> int:
    """Count the multiply-accumulates of all convolutions and linear layers."""
    macs = 0

    def add_layer(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        weight = layer.get_parameter("weight")
        macs += output[0].numel() * weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(add_layer) for layer in layers]
    with torch.no_grad():
        model.eval()(torch.zeros(1, *sample_shape))
    for hook in hooks:
        hook.remove()
    return macs
