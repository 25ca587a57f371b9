from __future__ import annotations

from pathlib import Path

import pytest

import imcc.isa
from imcc.isa import Encoding, Network, Target, TargetError, builtin_targets, load_target

TINY = (Path(imcc.isa.__file__).parent / "targets" / "tiny.toml").read_text(encoding="utf-8")


def refusal(folder: Path, text: str) -> str:
    path = folder / "t.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TargetError) as caught:
        load_target(path)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("name", builtin_targets())
def test_builtin_targets_load_and_survive_json(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    again = Target.from_json(target.to_json())
    assert again == target
    assert again.to_json() == target.to_json()
    assert again.fingerprint == target.fingerprint


def test_builtin_names() -> None:
    assert builtin_targets() == (
        "cimflow",
        "dcim22",
        "isaac",
        "neurram",
        "pimcomp",
        "puma",
        "tiny",
    )


def test_derived_sizes() -> None:
    tiny = load_target("tiny")
    assert tiny.chip.cores == 512
    assert tiny.core.local_memory_bytes == 131072
    assert tiny.chip.global_memory_bytes == 64 << 20
    assert tiny.array.encoding is Encoding.DIFFERENTIAL_COLUMNS


def test_numbers_that_two_sources_give_agree() -> None:
    isaac, puma = load_target("isaac"), load_target("puma")
    # 8 bits at 0.225 mW a bit and 0.025 mW that leak (PUMA) against 2 mW at 1.2 GS/s (ISAAC)
    assert puma.leakage is not None
    picojoule = puma.energy.e_adc_pj + puma.leakage.adc_mw * puma.timing.t_adc_ns
    assert picojoule == pytest.approx(isaac.energy.e_adc_pj, rel=0.07)
    assert isaac.energy.e_adc_pj == pytest.approx(2.0 / 1.2, rel=1e-3)
    dcim = load_target("dcim22")
    rows, columns = dcim.array.rows, dcim.array.cols
    picojoule = 8 * dcim.energy.e_array_step_pj
    assert 2 * rows * (columns // 8) / picojoule == pytest.approx(24.7, rel=1e-3)  # TOPS/W
    tops = 2 * rows * (columns // 4) / (4 * dcim.timing.t_step_ns) / 1000
    assert tops / 0.202 == pytest.approx(16.3, rel=1e-3)  # TOPS/mm2
    chip = load_target("neurram")
    conversion = chip.energy.e_adc_pj * 256 + chip.energy.e_array_step_pj
    step = conversion + chip.energy.e_row_step_pj * 256
    assert 2 * 128 * 256 / (2 * step) == pytest.approx(6.44, rel=1e-3)  # TOPS/W, 8 in, 10 out


def test_all_problems_are_listed_with_line_and_caret(tmp_path: Path) -> None:
    text = (
        TINY.replace("rows = 32\ncols", "rowz = 32\ncols")
        .replace("bits = 8\n", 'bits = "8" # text\n')
        .replace("t_adc_ns = 1.0", "t_adc_ns = inf")
        .replace('energy = "', 'enrgy = "')
        .replace("[core]\narrays = 16\n", "[core]\narrays = 0\n")
    )
    assert (
        refusal(tmp_path, text)
        == """\
t.toml: 7 problems
t.toml:12:10: core.arrays is 0; it should be greater than or equal to 1
   12 | arrays = 0
      |          ^
t.toml:17:2: 'rows' is missing from [array]
   17 | [array]
      |  ^^^^^
t.toml:18:1: unknown key 'rowz' in [array]; did you mean 'rows'?
   18 | rowz = 32
      | ^^^^
t.toml:26:8: adc.bits is '8'; it should be a valid integer
   26 | bits = "8" # text
      |        ^^^
t.toml:36:12: timing.t_adc_ns is inf; it should be a finite number
   36 | t_adc_ns = inf
      |            ^^^
t.toml:44:12: [energy] has no source for e_adc_pj, e_row_step_pj, e_array_step_pj, \
e_shift_add_pj, e_vector_op_pj, e_local_byte_pj, e_global_byte_pj, e_noc_byte_pj, \
e_write_cell_pj; add 'energy' or '"energy.e_adc_pj"' to [sources]
   44 | e_adc_pj = 1.0
      |            ^^^
t.toml:77:1: source 'enrgy' names no value of this file; did you mean 'energy'?
   77 | enrgy = "assumed: round numbers, so that expected energies can be worked out by hand"
      | ^^^^^"""
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\ncols = 32\n", "\ncols = 31\n", "a row of 31 cells of 2 bits is not a whole number of"),
        ("\ncols = 32\n", "\ncols = 4\n", "an 8-bit weight takes 8 cells of a row; the array"),
        ("per_array = 4", "per_array = 64", "64 converters for 32 columns; it must be at most 32"),
        ("differential-columns", "ofset", "array.encoding is 'ofset'; it should be 'offset', "),
        ('encoding = "differential-columns"\nsubtract_analog = false',
            'encoding = "offset"\nsubtract_analog = true', "has no negative cells to subtract"),
        ('name = "tiny"', 'name = "Tiny chip"', "name is 'Tiny chip'; it should match pattern"),
        ("imcc.target/1\"\nname", "imcc.target/2\"\nname", "it should be 'imcc.target/1'"),
        ("step_bits = 1", "step_bits = true", "array.step_bits is True; it should be a valid int"),
        ('core = "assumed: a small chip for tests"', 'core = " "', "source 'core' is empty"),
        ('core = "assumed', '"core.array" = "assumed', "did you mean 'core.arrays'?"),
        ("[core]", "[chip2]\nx = 1\n[core]", "unknown key 'chip2' in the top level"),
        ("rows = 32", "rows = 99999999999999999999", "it should be less than or equal to 2048"),
    ],
)  # fmt: skip
def test_single_problems(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TINY
    assert message in refusal(tmp_path, TINY.replace(old, new, 1))


def test_what_may_be_left_out(tmp_path: Path) -> None:
    """A chip without figures for leakage and area, whose cores finish each instruction first."""
    text = TINY.replace("issue_window = 4\n", "")
    for table in ("leakage", "area"):
        start = text.index(f"[{table}]")
        text = text[:start] + text[text.index("[", start + 1) :]
        text = "".join(line for line in text.splitlines(True) if not line.startswith(f"{table} = "))
    path = tmp_path / "t.toml"
    path.write_text(text, encoding="utf-8")
    target = load_target(path)
    assert (target.core.issue_window, target.leakage, target.area) == (1, None, None)
    assert Target.from_json(target.to_json()) == target


def test_what_a_file_leaves_out_is_left_out_of_its_json(tmp_path: Path) -> None:
    """So a number that comes to the description later changes no fingerprint."""
    plain = load_target("tiny")
    assert (plain.chip.network, plain.core.vector_cycles) == (Network.MESH, 1)
    assert (plain.timing.t_start_ns, plain.timing.element_bytes) == (0.0, None)
    for name in ("network", "vector_cycles", "t_start_ns", "element_bytes"):
        assert name not in plain.to_json()
    path = tmp_path / "t.toml"
    text = TINY.replace("[core]", 'network = "bus"\n\n[core]\nvector_cycles = 4')
    path.write_text(text.replace("[timing]", "[timing]\nt_start_ns = 2.5\nelement_bytes = 2"))
    target = load_target(path)
    assert (target.chip.network, target.core.vector_cycles) == (Network.BUS, 4)
    assert (target.timing.t_start_ns, target.timing.element_bytes) == (2.5, 2)
    assert Target.from_json(target.to_json()) == target
    assert target.fingerprint != plain.fingerprint


def test_optional_values_are_checked_too(tmp_path: Path) -> None:
    wrong = TINY.replace("[core]", 'network = "ring"\n\n[core]\nvector_cycles = 0')
    assert "chip.network is 'ring'; it should be 'mesh' or 'bus'" in refusal(tmp_path, wrong)
    assert "core.vector_cycles is 0; it should be greater than or" in refusal(tmp_path, wrong)


def test_optional_tables_are_checked_too(tmp_path: Path) -> None:
    text = TINY.replace("array_mm2 = 0.001", "array_mn2 = 0.001")
    assert "unknown key 'array_mn2' in [area]; did you mean 'array_mm2'?" in refusal(tmp_path, text)
    unsourced = TINY.replace('leakage = "assumed', '# leakage = "assumed')
    assert "[leakage] has no source for array_mw" in refusal(tmp_path, unsourced)


def test_wrong_syntax_is_shown(tmp_path: Path) -> None:
    text = TINY.replace("rows = 32\ncols", "rows = = 32\ncols")
    assert refusal(tmp_path, text) == (
        "t.toml:18:8: not valid TOML: Invalid value\n   18 | rows = = 32\n      |        ^"
    )
    assert "not valid TOML" in refusal(tmp_path, "a = [")


def test_hostile_files(tmp_path: Path) -> None:
    assert "nested too deeply" in refusal(tmp_path, "a = " + "[" * 20000)
    assert "larger than 65536 bytes" in refusal(tmp_path, "#" * 65537)
    path = tmp_path / "b.toml"
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(TargetError, match="not UTF-8 at byte 5"):
        load_target(path)
    with pytest.raises(TargetError, match="neither a file nor"):
        load_target(tmp_path)


def test_multi_line_strings_do_not_move_places(tmp_path: Path) -> None:
    text = TINY.replace(
        'description = "A chip', 'description = """\nrows = 1\n[array]\n""" # "A chip'
    ).replace("rows = 32\ncols", "rows = 1\ncols")
    assert "t.toml:21:8: array.rows is 1" in refusal(tmp_path, text)


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(TargetError) as caught:
        load_target("isac")
    assert str(caught.value) == (
        "no target 'isac': it is neither a file nor one of the built-in cimflow, dcim22, isaac, "
        "neurram, pimcomp, puma, tiny; did you mean 'isaac'?"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100000, '{"name": 1}'])
def test_json_that_is_no_target(text: str) -> None:
    with pytest.raises(TargetError):
        Target.from_json(text)
