from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hand_program import hand_program
from support.host_program import host_program

from imcc.isa import (
    ContainerError,
    Origin,
    Program,
    assemble,
    disassemble,
    encode,
    load_program,
    program_bytes,
    program_from_bytes,
    save_program,
)
from imcc.isa.typed_json import Texts, canonical, to_plain


@pytest.fixture(scope="module")
def program() -> Program:
    return hand_program()


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, manifest and tensor bytes."""
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["imcc"]), data[8 + size :]


def pack(header: dict[str, Any], manifest: dict[str, Any], body: bytes) -> bytes:
    header["__metadata__"] = {"imcc": json.dumps(manifest)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def test_a_program_survives_the_file(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "p.imc"
    save_program(program, path)
    loaded = load_program(path)
    assert loaded == program
    assert program_bytes(loaded) == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["p.imc"]


def test_safetensors_reads_the_file(program: Program) -> None:
    tensors = safetensors.numpy.load(program_bytes(program))
    assert sorted(tensors) == ["code.00000", "code.00001", "constants"]
    assert tensors["constants"].tobytes() == program.constants
    assert np.array_equal(tensors["code.00001"], encode(program.cores[1]))


def test_equal_programs_give_equal_bytes_whatever_the_order_of_cores(program: Program) -> None:
    turned = replace(program, cores=dict(reversed(program.cores.items())))
    assert program_bytes(turned) == program_bytes(program)


def test_names_of_any_kind_survive(program: Program) -> None:
    names = ("../../x", "a\x1b]0;b\x07", "\u2028é\U0001f600", "\ud800", '"]},')
    odd = replace(program, origins=(Origin(0, 0, 1, names),), notes=(("a\nb", ""), ("a\nb", "c")))
    assert program_from_bytes(program_bytes(odd)) == odd


def test_texts_are_those_of_plain_forms(program: Program) -> None:
    for whole in (program, host_program()):
        for value in (whole.matrices, whole.origins, whole.inputs, whole.notes, (True, 1.5, "ä%s")):
            assert Texts().of(value) == canonical(to_plain(value))


def test_every_truncation_is_refused(program: Program) -> None:
    data = program_bytes(program)
    for length in range(len(data)):
        with pytest.raises(ContainerError):
            program_from_bytes(data[:length])


def test_trailing_bytes_are_refused(program: Program) -> None:
    with pytest.raises(ContainerError, match="do not fill the file"):
        program_from_bytes(program_bytes(program) + b"\0")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_changed_bytes_are_refused_or_harmless(program: Program, data: st.DataObject) -> None:
    damaged = bytearray(program_bytes(program))
    for _ in range(40):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
        try:
            loaded = program_from_bytes(bytes(damaged))
        except ContainerError:
            damaged = bytearray(program_bytes(program))
        else:
            assert program_from_bytes(program_bytes(loaded)) == loaded


def test_changed_code_is_noticed(program: Program) -> None:
    data = bytearray(program_bytes(program))
    data[-400] ^= 1
    with pytest.raises(ContainerError, match=r"section '.*' is damaged: its SHA-256 is wrong"):
        program_from_bytes(bytes(data))


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ContainerError):
        program_from_bytes(data)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[" * 5000, "does not start with"),
        (b'{"a":' * 5000, "nested too deeply|not valid JSON"),
        (b'{"a":1,"a":2}', "key 'a' occurs twice"),
        (b'{"a":NaN}', "NaN is not allowed"),
        (b"{}", "no '__metadata__'"),
        (b'{"__metadata__":{"imcc":"{}"}}', "manifest.format: is None"),
        (b'{"\xff":1}', "not ASCII"),
    ],
)
def test_hostile_headers(header: bytes, message: str) -> None:
    with pytest.raises(ContainerError, match=message):
        program_from_bytes(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["isa"], [1, 7], r"needs imcc ISA 1\.7; this imcc has 1\.6"),
        (["isa"], [2, 0], r"needs imcc ISA 2\.0"),
        (["isa"], "1.0", r"manifest\.isa: must be an array"),
        (["format"], "imcc.program/9", r"it must be 'imcc\.program/3'"),
        (["extra"], 1, r"unknown key 'extra'"),
        (["global_size"], 1.5, r"manifest\.global_size: must be an integer of 64 bits, not 1\.5"),
        (["global_size"], True, r"must be an integer"),
        (["global_size"], 1 << 63, r"must be an integer of 64 bits"),
        (["inputs", 0, "element"], "u7", r"inputs\[0\]\.element: must be one of u8, i8"),
        (["inputs", 0, "scale"], float("inf"), r"Infinity is not allowed"),
        (["inputs", 0, "shape"], [1, "4"], r"inputs\[0\]\.shape\[1\]: must be an integer"),
        (["matrices", 0, "tiles", 0, "negative"], 1, r"must be true or false"),
        (["target", "array", "rows"], 0, r"array\.rows is 0"),
        (["target"], [], r"manifest\.target"),
        (["sections"], [], r"lists the sections"),
    ],
)
def test_wrong_manifests(
    program: Program, path: list[str | int], value: object, message: str
) -> None:
    header, manifest, body = unpack(program_bytes(program))
    place: Any = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ContainerError, match=message):
        program_from_bytes(pack(header, manifest, body))


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("constants", {"dtype": "U8", "shape": [383], "data_offsets": [328, 712]}, "383 items"),
        ("constants", {"dtype": "I8", "shape": [384], "data_offsets": [328, 712]}, "vector of U8"),
        ("constants", {"dtype": "U8", "shape": [4, 96], "data_offsets": [328, 712]}, "vector"),
        ("constants", {"dtype": "U8", "shape": [380], "data_offsets": [332, 712]}, "do not fill"),
        ("constants", {"dtype": "U8", "shape": [392], "data_offsets": [320, 712]}, "do not fill"),
        ("constants", {"dtype": "U8", "shape": [-1], "data_offsets": [328, 327]}, "items"),
        ("code.1", {"dtype": "U64", "shape": [0], "data_offsets": [0, 0]}, "five digits"),
        ("code.00007", {"dtype": "U64", "shape": [0], "data_offsets": [0, 0]}, "lists the sect"),
        ("constants", {"dtype": "U8"}, "key 'shape' is missing"),
    ],
)
def test_wrong_tensors(program: Program, name: str, entry: dict[str, object], message: str) -> None:
    header, manifest, body = unpack(program_bytes(program))
    assert header["constants"]["data_offsets"] == [328, 712]
    header[name] = entry
    with pytest.raises(ContainerError, match=message):
        program_from_bytes(pack(header, manifest, body))


def test_a_word_that_is_no_instruction_is_refused(program: Program) -> None:
    header, manifest, body = unpack(program_bytes(program))
    body = b"\xee" + body[1:]
    size = header["code.00000"]["data_offsets"][1]
    for section in manifest["sections"]:
        if section["name"] == "code.00000":
            section["sha256"] = hashlib.sha256(body[:size]).hexdigest()
    with pytest.raises(ContainerError, match="core 0, instruction 0: unknown opcode 0xee"):
        program_from_bytes(pack(header, manifest, body))


def test_a_missing_file_is_a_container_error(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match=r"none\.imc: the file cannot be read"):
        load_program(tmp_path / "none.imc")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.imc"
    path.write_bytes(b"old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(ContainerError, match="cannot be written: No space left"):
        save_program(program, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["p.imc"]


def test_host_partitions_are_sections() -> None:
    program = host_program()
    data = program_bytes(program)
    assert program_from_bytes(data) == program
    damaged = bytearray(data)
    damaged[-1] ^= 1
    with pytest.raises(ContainerError, match=r"section 'host\.00000' is damaged"):
        program_from_bytes(bytes(damaged))
    assert assemble(disassemble(program)) == program
