"""Train the five example networks and export each of them to ONNX twice.

`<name>.onnx` has its batch norms folded into the layers before them,
`<name>_bn.onnx` keeps them. Both take raw data: pixel values 0..255, or the
normalised windows stored in `watch.npz`. Run from the repository root:

    python models/train.py
    python models/train.py --only fmnist_lenet --epochs-scale 0.1 --out OTHER_FOLDER
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import datasets
import export
import networks
import torch
from datasets import Dataset
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
LABEL_SMOOTHING = 0.1
# Mean and standard deviation of the training pixels divided by 255.
PIXEL_MEAN, PIXEL_STD = 0.2860, 0.3530


@dataclass(frozen=True)
class Recipe:
    """How one network is trained; it sees `scale * x + shift`."""

    build: Callable[[], nn.Module]
    data: str
    seed: int
    epochs: int
    learning_rate: float
    weight_decay: float
    augment: Callable[[Tensor], Tensor]
    batch: int = 128
    scale: float = 1.0
    shift: float = 0.0


RECIPES = {
    "fmnist_mlp": Recipe(
        networks.Mlp,
        "fmnist",
        seed=11,
        epochs=20,
        learning_rate=0.1,
        weight_decay=5e-4,
        augment=datasets.flip,
        scale=1 / (255 * PIXEL_STD),
        shift=-PIXEL_MEAN / PIXEL_STD,
    ),
    "fmnist_lenet": Recipe(
        networks.LeNet,
        "fmnist",
        seed=12,
        epochs=15,
        learning_rate=0.1,
        weight_decay=5e-4,
        augment=datasets.flip,
        scale=1 / 255,
    ),
    "watch_cnn1d": Recipe(
        networks.WatchCnn,
        "watch",
        seed=13,
        epochs=25,
        learning_rate=0.05,
        weight_decay=1e-3,
        augment=datasets.jitter_signal,
        batch=64,
    ),
    "fmnist_mobilenet": Recipe(
        networks.MobileNet,
        "fmnist",
        seed=14,
        epochs=10,
        learning_rate=0.15,
        weight_decay=2e-4,
        augment=datasets.flip_and_shift,
        scale=1 / 255,
    ),
    "fmnist_resnet8": Recipe(
        networks.ResNet8,
        "fmnist",
        seed=15,
        epochs=14,
        learning_rate=0.2,
        weight_decay=5e-4,
        augment=datasets.flip_and_shift,
        scale=1 / 255,
    ),
}


def train(recipe: Recipe, dataset: Dataset, epochs: int) -> nn.Module:
    """Train with SGD and a one-cycle learning rate; keep the last epoch's weights."""
    torch.manual_seed(recipe.seed)
    model = recipe.build()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on CPUs
    optimizer = torch.optim.SGD(
        model.parameters(),
        recipe.learning_rate,
        momentum=0.9,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )
    steps = epochs * (len(dataset.train_x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.2
    )
    for epoch in range(epochs):
        start = time.perf_counter()
        loss = train_epoch(model, recipe, dataset, optimizer, schedule)
        seconds = time.perf_counter() - start
        print(f"  epoch {epoch + 1}/{epochs}: loss {loss:.4f}, {seconds:.0f} s", flush=True)
    return model


def train_epoch(
    model: nn.Module,
    recipe: Recipe,
    dataset: Dataset,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """Go through the shuffled training set once; return the mean loss."""
    samples, labels = torch.tensor(dataset.train_x), torch.tensor(dataset.train_y)
    criterion = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    steps = len(samples) // recipe.batch
    order = torch.randperm(len(samples))[: steps * recipe.batch]
    model.train()
    total = 0.0
    for chosen in torch.split(order, recipe.batch):
        inputs = recipe.augment(samples[chosen]).float() * recipe.scale + recipe.shift
        loss = criterion(model(inputs), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    return total / steps


def export_variants(
    name: str, model: nn.Module, recipe: Recipe, dataset: Dataset, out: Path
) -> dict[str, dict[str, float]]:
    """Write both ONNX files of a network; return their measured accuracies."""
    sample_shape = dataset.train_x.shape[1:]
    unfolded = export.fold_input_scaling(model, recipe.scale, recipe.shift)
    variants = {name: export.fold_batch_norms(unfolded), f"{name}_bn": unfolded}
    accuracies = {}
    logits = []
    for stem, variant in variants.items():
        path = out / f"{stem}.onnx"
        export.export_onnx(variant, sample_shape, path)
        logits.append(export.run_onnx(path, dataset.bundled_x))
        accuracies[stem] = {
            "test": export.accuracy(export.run_onnx(path, dataset.test_x), dataset.test_y),
            "bundled": export.accuracy(logits[-1], dataset.bundled_y),
        }
        print(f"  {path.name}: {accuracies[stem]}, {export.operator_types(path)}")
    difference, same = export.compare_logits(*logits)
    print(f"  folded against unfolded: {difference:.1e} relative, top-1 equal {same:.2%}")
    return accuracies


def update_accuracies(path: Path, accuracies: dict[str, dict[str, float]]) -> None:
    """Merge new accuracies into the JSON file, so that --only keeps the others."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known.update(accuracies)
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def load_data(kind: str, arguments: argparse.Namespace) -> Dataset:
    """Load one of the two data sets and write its bundle beside the models."""
    if kind == "watch":
        dataset = datasets.load_watch()
    else:
        dataset = datasets.load_fashion_mnist(arguments.cache, arguments.data_dir)
    dataset.save_bundle(arguments.out / f"{kind}.npz")
    sizes = len(dataset.train_x), len(dataset.test_x), len(dataset.bundled_x)
    print("{}: {} training, {} test, {} bundled samples".format(kind, *sizes))
    return dataset


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--epochs-scale", type=float, default=1.0, help="factor on all epochs")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the results")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache", help="download folder")
    parser.add_argument("--threads", type=int, default=2, help="1 is best on a busy machine")
    parser.add_argument("--data-dir", type=Path, help="folder with Fashion-MNIST's .gz files")
    return parser.parse_args()


def main() -> None:
    """Train and export the chosen networks, one after the other."""
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    loaded: dict[str, Dataset] = {}
    for name in arguments.only:
        recipe = RECIPES[name]
        if recipe.data not in loaded:
            loaded[recipe.data] = load_data(recipe.data, arguments)
        dataset = loaded[recipe.data]
        model = train(recipe, dataset, max(1, math.ceil(recipe.epochs * arguments.epochs_scale)))
        macs = networks.count_macs(model, dataset.train_x.shape[1:])
        accuracies = export_variants(name, model, recipe, dataset, arguments.out)
        parameters = sum(p.numel() for p in export.fold_batch_norms(model).parameters())
        print(f"{name}: {parameters} parameters once folded, {macs} MACs", flush=True)
        update_accuracies(arguments.out / "accuracy.json", accuracies)


if __name__ == "__main__":
    main()
