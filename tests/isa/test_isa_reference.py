from __future__ import annotations

from pathlib import Path

import pytest

from imcc.isa import TABLE
from imcc.isa.reference import MANUAL, isa_manual, main

ROOT = Path(__file__).parents[2]


def test_the_manual_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, f"{MANUAL}: run python -m imcc.isa.reference"


def test_the_manual_has_every_instruction_and_field() -> None:
    text = isa_manual()
    for cls in TABLE.values():
        section = text.partition(f"\n### {cls.mnemonic}\n")[2].partition("\n### ")[0]
        assert f"{cls.opcode:#04x}" in section
        assert all(f"`{field.name}`" in section for field in cls.layout)


def test_check_notices_an_old_manual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / MANUAL).write_text("old", encoding="utf-8")
    assert main(["--check"]) == 1
    assert "is not current; run: python -m imcc.isa.reference" in capsys.readouterr().err
    assert main(["--help"]) == 2
