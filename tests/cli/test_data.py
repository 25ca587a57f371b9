from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imcc.compiler.data import (
    DataError,
    MissingCalibrationError,
    calibration,
    find_beside,
    fit,
    load_samples,
    random_samples,
    read_arrays,
)
from imcc.compiler.errors import LimitError
from imcc.compiler.ir import DType, TensorType, Value

X = Value("image", TensorType(DType.F32, (1, 2, 3)))


def test_npz_and_npy_read_back_what_numpy_wrote(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    np.savez_compressed(tmp_path / "a.npz", calib=array, y=np.arange(4))
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["calib"], array)
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npy")["x"], array)


def test_calibration_takes_calib_and_samples_take_x(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", calib=np.zeros((2, 2, 3)), x=np.ones((3, 2, 3)), y=np.arange(3))
    assert calibration(tmp_path / "a.npz", [X], None, 0).count == 2
    samples = load_samples(tmp_path / "a.npz", [X])
    assert samples.count == 3
    np.testing.assert_array_equal(samples.labels, [0, 1, 2])


def test_integers_become_floats_exactly() -> None:
    codes = np.full((1, 2, 3), 255, np.uint8)
    fitted = fit(codes, X, "here")
    assert fitted.dtype == np.float32
    np.testing.assert_array_equal(fitted, codes)


def test_wrong_shape_says_what_is_wanted() -> None:
    with pytest.raises(DataError, match=r"samples of shape \[2, 3\], the data has \[3, 2\]"):
        fit(np.zeros((5, 3, 2)), X, "a.npz")


def test_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        fit(np.full((1, 2, 3), np.nan), X, "a.npz")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        read_arrays(tmp_path / "o.npy")


def test_header_that_claims_more_than_the_file_has(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 33,)}
    )
    (tmp_path / "b.npy").write_bytes(file.getvalue())
    with pytest.raises(DataError, match="announces 68719476736 bytes, the file has 0"):
        read_arrays(tmp_path / "b.npy")


def test_archive_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(20 << 20))
    with pytest.raises(LimitError, match="grows from"):
        read_arrays(tmp_path / "b.npz")


@pytest.mark.parametrize("cut", [5, 60, 200])
def test_damaged_archive(tmp_path: Path, cut: int) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(40))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[:cut])
    with pytest.raises(DataError):
        read_arrays(tmp_path / "cut.npz")


def test_data_beside_the_model_is_found_by_shortening_its_name(tmp_path: Path) -> None:
    model = tmp_path / "fmnist_resnet8_bn.onnx"
    assert find_beside(model) is None
    for stem in ("fmnist", "fmnist_resnet8", "fmnist_resnet8_bn"):
        (tmp_path / f"{stem}.npz").touch()
        assert find_beside(model) == tmp_path / f"{stem}.npz"


def test_no_calibration_names_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(MissingCalibrationError, match=r"there is none of a_b\.npz, a\.npz"):
        calibration(None, [X], tmp_path / "a_b.onnx", 0)


def test_random_samples_depend_on_the_seed_only() -> None:
    a, b = random_samples([X], 3), random_samples([X], 3)
    np.testing.assert_array_equal(a.inputs["image"], b.inputs["image"])
    assert (random_samples([X], 4).inputs["image"] != a.inputs["image"]).any()
    assert a.source == "random, seed 3, 64 samples"


@pytest.mark.parametrize(
    ("operations", "count"), [(0, 64), (1 << 29, 64), (1 << 32, 8), (1 << 34, 2), (1 << 40, 1)]
)
def test_random_samples_that_take_long_are_few(operations: int, count: int) -> None:
    assert random_samples([X], 3, operations=operations).count == count
    assert random_samples([X], 3, 70, operations=operations).count == 70


def test_batches_are_the_samples_in_order() -> None:
    samples = random_samples([X], 0, 150)
    joined = np.concatenate([batch["image"] for batch in samples.batches()])
    np.testing.assert_array_equal(joined, samples.inputs["image"])


def test_random_integers_are_indices_that_exist() -> None:
    ids = Value("ids", TensorType(DType.I64, (1, 50)))
    mask = Value("mask", TensorType(DType.I32, (1, 50)))
    found = random_samples([ids, mask], 0, 8, {"ids": 7}).inputs
    assert found["ids"].dtype == np.int64
    assert set(np.unique(found["ids"])) == set(range(7))
    assert set(np.unique(found["mask"])) == {0, 1}


def test_whole_numbers_are_wanted_for_integers() -> None:
    ids = Value("ids", TensorType(DType.I32, (1, 3)))
    fitted = fit(np.array([[1, 2, 3]], np.int64), ids, "here")
    assert fitted.dtype == np.int32
    for wrong in (np.array([[1.5, 2, 3]]), np.array([[1, 2, 2**40]])):
        with pytest.raises(DataError, match="input 'ids' takes whole numbers of type int32"):
            fit(wrong, ids, "here")


def test_samples_of_a_scalar() -> None:
    gain = Value("gain", TensorType(DType.F32, (1,)))
    assert fit(np.array(2, np.float32), gain, "here").shape == (1,)
    assert fit(np.ones(5), gain, "here").shape == (5,)
