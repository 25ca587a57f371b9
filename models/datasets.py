"""Data for the example networks: fetching, splitting, augmenting, bundling.

Fashion-MNIST comes from the Debian package `dataset-fashion-mnist`, the
smart-watch recordings from the files of the Python package `seglearn`.
"""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]

CALIBRATION_SAMPLES = 512
BUNDLED_SAMPLES = 2000
SUBSET_SEED = 20240

DEBIAN_PACKAGE = "dataset-fashion-mnist"
PACKAGE_FOLDER = Path("usr/share/datasets/fashion-mnist")

WINDOW = 100  # two seconds at 50 Hz
STRIDE = 33  # about 2,200 test windows
TEST_SUBJECTS = (8, 9, 10)
RESOLUTION = 64  # steps per standard deviation; keeps the bundled file small


@dataclass(frozen=True)
class Dataset:
    """Training and test samples; `calib` and `bundled_*` go beside the models."""

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    calib: Array
    bundled_x: Array
    bundled_y: Array

    def save_bundle(self, path: Path) -> None:
        """Write the calibration samples and the bundled part of the test set."""
        np.savez_compressed(path, calib=self.calib, x=self.bundled_x, y=self.bundled_y)


def load_fashion_mnist(cache: Path, data_dir: Path | None) -> Dataset:
    """Read Fashion-MNIST from `data_dir`, or else from the package in `cache`."""
    folder = data_dir or fetch_fashion_mnist(cache)
    train_x = read_idx(folder / "train-images-idx3-ubyte.gz")[:, None]
    test_x = read_idx(folder / "t10k-images-idx3-ubyte.gz")[:, None]
    test_y = read_idx(folder / "t10k-labels-idx1-ubyte.gz").astype(np.int64)
    return Dataset(
        train_x=train_x,
        train_y=read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64),
        test_x=test_x,
        test_y=test_y,
        calib=calibration_subset(train_x),
        bundled_x=test_x[:BUNDLED_SAMPLES],
        bundled_y=test_y[:BUNDLED_SAMPLES],
    )


def fetch_fashion_mnist(cache: Path) -> Path:
    """Download and unpack the Debian package unless `cache` already holds it."""
    folder = cache / PACKAGE_FOLDER
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # The update needs root; without it the download may still find its lists.
    subprocess.run(["apt-get", "update"], check=False, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", "download", DEBIAN_PACKAGE], cwd=cache, check=True)
    package = next(cache.glob(f"{DEBIAN_PACKAGE}_*.deb"))
    subprocess.run(["dpkg", "-x", str(package), str(cache)], check=True)
    return folder


def read_idx(path: Path) -> Array:
    """Read a gzipped IDX file of unsigned bytes."""
    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=rank, offset=4)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_watch() -> Dataset:
    """Cut the watch recordings into windows; test subjects are never trained on."""
    recordings = read_watch_recordings()
    is_test = np.isin(recordings["subject"], TEST_SUBJECTS)
    train = [i for i in range(len(is_test)) if not is_test[i]]
    test = [i for i in range(len(is_test)) if is_test[i]]
    signal = np.concatenate([recordings["X"][i] for i in train])
    mean, std = signal.mean(axis=0), signal.std(axis=0)
    train_x, train_y = cut_windows(recordings, train, mean, std)
    test_x, test_y = cut_windows(recordings, test, mean, std)
    order = np.random.default_rng(SUBSET_SEED).permutation(len(test_x))
    bundled = order[:BUNDLED_SAMPLES]  # mixes subjects and classes
    return Dataset(
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        calib=calibration_subset(train_x),
        bundled_x=test_x[bundled],
        bundled_y=test_y[bundled],
    )


def read_watch_recordings() -> dict[str, Any]:
    """Read seglearn's data file as `seglearn.datasets.load_watch` does.

    Importing seglearn itself would need pandas, which it does not declare.
    """
    spec = importlib.util.find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the watch data needs the package seglearn")
    path = Path(spec.origin).parent / "data" / "watch_dataset.npy"
    recordings: dict[str, Any] = np.load(path, allow_pickle=True).item()
    return recordings


def cut_windows(
    recordings: dict[str, Any], chosen: list[int], mean: Array, std: Array
) -> tuple[Array, Array]:
    """Normalise the chosen recordings per channel and cut overlapping windows."""
    windows: list[Array] = []
    labels: list[int] = []
    for index in chosen:
        signal = np.round((recordings["X"][index] - mean) / std * RESOLUTION) / RESOLUTION
        for start in range(0, len(signal) - WINDOW + 1, STRIDE):
            windows.append(signal[start : start + WINDOW].T)
            labels.append(int(recordings["y"][index]))
    return np.stack(windows).astype(np.float32), np.array(labels, dtype=np.int64)


def calibration_subset(train_x: Array) -> Array:
    """Draw the calibration samples from the training set, in its order."""
    generator = np.random.default_rng(SUBSET_SEED)
    chosen = generator.choice(len(train_x), CALIBRATION_SAMPLES, replace=False)
    return train_x[np.sort(chosen)]


def keep(batch: Tensor) -> Tensor:
    """Leave the batch as it is: no augmentation."""
    return batch


def flip(images: Tensor) -> Tensor:
    """Mirror each image with probability one half."""
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def flip_and_shift(images: Tensor, reach: int = 2) -> Tensor:
    """Mirror each image at random, then move it by up to `reach` pixels."""
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(flip(images), (reach,) * 4)
    rows = torch.arange(height) + torch.randint(0, 2 * reach + 1, (count, 1))
    columns = torch.arange(width) + torch.randint(0, 2 * reach + 1, (count, 1))
    sample = torch.arange(count)[:, None, None]
    return padded[sample, 0, rows[:, :, None], columns[:, None, :]][:, None]


def jitter_signal(windows: Tensor) -> Tensor:
    """Scale and offset each channel a little: wrists and watch straps differ."""
    shape = (len(windows), windows.shape[1], 1)
    scale = 1 + 0.15 * torch.randn(shape)
    offset = 0.15 * torch.randn(shape)
    return windows * scale + offset
