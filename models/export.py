"""Exact folding of trained layers, ONNX export, and checks of the files."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from datasets import Array
from onnx import helper, numpy_helper
from torch import Tensor, nn

OPSET = 17
EVALUATION_BATCH = 500
# Folded and unfolded graphs differ by float32 rounding only.
FOLDING_TOLERANCE = 1e-4

Weighted = nn.Conv1d | nn.Conv2d | nn.Linear
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def fold_input_scaling(model: nn.Module, scale: float, shift: float) -> nn.Module:
    """Return a copy that takes `x` where the model takes `scale * x + shift`.

    The arithmetic is done in float64. A shift cannot be folded into a layer
    that pads with zeros, for the padding would have to be shifted as well.
    """
    folded = copy.deepcopy(model)
    layer = next(m for m in folded.modules() if isinstance(m, Weighted))
    if shift and not isinstance(layer, nn.Linear):
        raise ValueError("only a linear first layer can absorb an input shift")
    weight = layer.weight.detach().double()
    if shift:
        layer.bias = nn.Parameter((bias_of(layer) + shift * weight.sum(dim=1)).float())
    layer.weight = nn.Parameter((weight * scale).float())
    return folded


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """Return a copy whose batch norms are folded into the layers before them."""
    folded = copy.deepcopy(model)
    for parent in list(folded.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, BatchNorm):
                fold_batch_norm(layer_before(parent, name), norm)
                setattr(parent, name, nn.Identity())
    return folded


def layer_before(parent: nn.Module, norm_name: str) -> Weighted:
    """Find the layer a batch norm follows: `bn_x` follows `conv_x` or `fc_x`."""
    suffix = norm_name.removeprefix("bn")
    children = dict(parent.named_children())
    layer = children.get(f"conv{suffix}", children.get(f"fc{suffix}"))
    if not isinstance(layer, Weighted):
        raise ValueError(f"no layer goes with the batch norm {norm_name}")
    return layer


def fold_batch_norm(layer: Weighted, norm: BatchNorm) -> None:
    """Fold the statistics of `norm` into `layer`, in float64."""
    mean, variance = required(norm.running_mean), required(norm.running_var)
    factor = norm.weight.detach().double() / torch.sqrt(variance + norm.eps)
    weight = layer.weight.detach().double()
    shape = (-1, *(1 for _ in weight.shape[1:]))
    layer.weight = nn.Parameter((weight * factor.reshape(shape)).float())
    bias = norm.bias.detach().double() + (bias_of(layer) - mean) * factor
    layer.bias = nn.Parameter(bias.float())


def bias_of(layer: Weighted) -> Tensor:
    """Return the bias of a layer in float64; zeros where it has none."""
    if layer.bias is None:
        return torch.zeros(len(layer.weight), dtype=torch.float64)
    return layer.bias.detach().double()


def required(statistic: Tensor | None) -> Tensor:
    """Return a batch norm statistic in float64; it exists once trained."""
    if statistic is None:
        raise ValueError("the batch norm keeps no running statistics")
    return statistic.double()


def export_onnx(model: nn.Module, sample_shape: tuple[int, ...], path: Path) -> None:
    """Write the model as a checked, self-contained ONNX file."""
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated, but gives the plainest graphs.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model.eval(),
            (torch.zeros(1, *sample_shape),),
            path,
            input_names=["input"],
            output_names=["logits"],
            dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
            opset_version=OPSET,
            # Evaluation mode proper would make the exporter fuse batch norms.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            dynamo=False,
        )
    proto = onnx.load(path)
    tidy(proto, path.stem)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def tidy(proto: onnx.ModelProto, name: str) -> None:
    """Turn constant nodes into initializers; drop everything about the source."""
    graph = proto.graph
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        value = helper.get_node_attr_value(node, "value")
        constant = numpy_helper.to_array(value)
        graph.initializer.append(numpy_helper.from_array(constant, node.output[0]))
        graph.node.remove(node)
    for node in graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    graph.ClearField("doc_string")
    proto.ClearField("metadata_props")
    proto.ClearField("doc_string")
    graph.name = name


def operator_types(path: Path) -> list[str]:
    """List the operator types of an ONNX file, each once."""
    return sorted({node.op_type for node in onnx.load(path).graph.node})


def run_onnx(path: Path, samples: Array) -> Array:
    """Compute the logits of an ONNX file with onnxruntime, in batches."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    batches = range(0, len(samples), EVALUATION_BATCH)
    logits = [
        session.run(None, {"input": samples[i : i + EVALUATION_BATCH].astype(np.float32)})[0]
        for i in batches
    ]
    return np.concatenate([np.asarray(batch) for batch in logits])


def accuracy(logits: Array, labels: Array) -> float:
    """Return the top-1 accuracy."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def compare_logits(folded: Array, unfolded: Array) -> tuple[float, float]:
    """Return the largest relative difference and the rate of equal top-1 classes."""
    difference = float(np.abs(folded - unfolded).max() / np.abs(unfolded).max())
    if difference > FOLDING_TOLERANCE:
        raise ValueError(f"folding changed the logits by {difference:.1e}")
    same = float(np.mean(folded.argmax(axis=1) == unfolded.argmax(axis=1)))
    return difference, same
