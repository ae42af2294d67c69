"""Damage to files: to their bytes, to the numbers and words of texts, and inside of containers whose sums are mended.

A mutator of our own instead of one that is led by coverage: the same number is the same damage on every machine, each
input can be given to a process under limits, and what lies behind a checksum is reached.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

TEXTS = {".json", ".jsonl", ".txt", ".toml", ".xml", ".obj", ".mtl", ".off", ".csv", ".xyz", ".pts", ".asc"}
TEXTS |= {".out", ".sfm", ".camera"}
NUMBERS = (
    "0", "-0", "-1", "1", "3", "255", "65536", "2147483648", "-9223372036854775809", "18446744073709551616", "1e5",
    "1e12", "1e39", "1e300", "-1e308", "1e999", "1e-300", "1e-46", "5e-324", "0.5", "nan", "inf", "-inf", "NaN",
    "Infinity", "0x10", "1_000", "١", "1,5", "", ".", "1" * 400, "1" * 5000, "null", "true", "[]", "{}", '"x"', "'",
)  # fmt: skip
WHOLE = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62)
REAL = (0.0, -0.0, 1.0, -1.0, 1e12, 1e39, 1e150, -1e300, 1e308, 1e-40, 1e-300, 5e-324, float("nan"), float("inf"))
VALUES: tuple[Any, ...] = (None, True, 0, -1, 1e300, 1e-300, 1 << 70, "", "x", "\0", "../x", [], {}, [[]], [None], 0.5)
_WORD = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?|\w+")

Mutation = Callable[[bytes, Random], bytes]


def mutated(name: str, data: bytes, random: Random) -> bytes:
    """Another file of that name: one to three kinds of damage, one after the other."""
    suffix = Path(name).suffix.lower()
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(_kinds(suffix, data))(data, random)
    return data


def _kinds(suffix: str, data: bytes) -> list[Mutation]:
    if suffix in TEXTS:
        as_tree = [_tree, _tree] if data[:1] in (b"{", b"[") else []
        return [_number, _number, _word, _line, _cut, _flip, _block, *as_tree]
    inside: dict[bytes, Mutation] = {b"PK": _zip, b"\x89P": _png, b"gl": _glb, b"TI": _checkpoint, b"\x93N": _array}
    opened = inside.get(data[:2])
    return [_flip, _whole, _real, _block, _cut, *([opened] * 5 if opened else [])]


def _flip(data: bytes, random: Random) -> bytes:
    found = bytearray(data or b"\0")
    for _ in range(random.choice((1, 1, 2, 8))):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def _whole(data: bytes, random: Random) -> bytes:
    """A whole number of some width somewhere, most often near the beginning, where heads are."""
    size = random.choice((1, 2, 4, 8))
    value = random.choice(WHOLE) % (1 << 8 * size)
    return _put(data, value.to_bytes(size, random.choice(("little", "big"))), random)


def _real(data: bytes, random: Random) -> bytes:
    form, value = random.choice("fd"), random.choice(REAL)
    value = value if form == "d" or not 1e38 < abs(value) < 1e309 else 1e38
    return _put(data, struct.pack(random.choice("<>") + form, value), random)


def _put(data: bytes, part: bytes, random: Random) -> bytes:
    at = random.randrange(min(len(data), random.choice((64, 512, len(data)))) or 1) if data else 0
    at -= at % random.choice((1, len(part)))
    return data[:at] + part + data[at + len(part) :]


def _block(data: bytes, random: Random) -> bytes:
    """A part left out, doubled, or put elsewhere."""
    start, length = random.randrange(len(data) + 1), random.choice((1, 2, 4, 8, 16, 64, 300))
    part, rest = data[start : start + length], data[:start] + data[start + length :]
    at = random.randrange(len(rest) + 1)
    return random.choice(
        (rest, data[:start] + part * random.choice((1, 3, 50)) + data[start:], rest[:at] + part + rest[at:])
    )


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _number(data: bytes, random: Random) -> bytes:
    return _other_word(data, random, random.choice(NUMBERS))


def _word(data: bytes, random: Random) -> bytes:
    """A word where another was."""
    words = [match.group() for match in _WORD.finditer(data.decode("latin-1"))]
    return _other_word(data, random, random.choice(words or [""]))


def _other_word(data: bytes, random: Random, word: str) -> bytes:
    text = data.decode("latin-1")
    found = list(_WORD.finditer(text))
    if not found:
        return word.encode()
    chosen = random.choice(found)
    return text[: chosen.start()].encode("latin-1") + word.encode() + text[chosen.end() :].encode("latin-1")


def _line(data: bytes, random: Random) -> bytes:
    """A line left out, doubled, or in the place of another."""
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one : one + 1] = random.choice(([], [lines[one]] * random.choice((2, 40)), [lines[other]], [b""]))
    return b"\n".join(lines)


def _tree(data: bytes, random: Random) -> bytes:
    """Another value, a key less, or a list of another length somewhere in JSON."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _number(data, random)
    places = list(_places(tree))
    if not places:
        return _number(data, random)
    holder, key = random.choice(places)
    if random.random() < 0.3:
        del holder[key]
    else:
        holder[key] = random.choice((*VALUES, [holder[key]], [holder[key]] * 3, {"a": holder[key]}))
    return json.dumps(tree).encode()


def _places(tree: Any) -> Any:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _zip(data: bytes, random: Random) -> bytes:
    """One member of an archive, or its name, with sums that are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError, RuntimeError):
        return _flip(data, random)
    if not members:
        return data
    name = random.choice(list(members))
    changed = _array(members.pop(name), random)
    name = random.choice((name, name, name, name.replace("0", "1"), "x.npy"))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for key, part in {**members, name: changed}.items():
            archive.writestr(key, part)
    return written.getvalue()


def _array(data: bytes, random: Random) -> bytes:
    """Numbers, or the head, of a .npy file."""
    end = data.find(b"\n", 10) + 1
    if end < 12 or random.random() < 0.2:
        return random.choice((_flip, _cut, _block))(data, random)
    head, numbers = data[10:end], data[end:]
    if random.random() < 0.5:
        kinds = (b"<f8", b"<f4", b">i2", b"|S4", b"<U9", b"|O", b"<c16", b"|b1", b"<M8[s]", b"|V8", b"<f2", b"<u8")
        word = random.choice(kinds)
        head = random.choice((_number(head, random), _block(head, random), head.replace(b"<f8", word)))
    else:
        numbers = _real(b"\0" * 8, random) * (len(numbers) // 8) if random.random() < 0.1 else _real(numbers, random)
    return data[:8] + struct.pack("<H", len(head) % 65536) + head + numbers


def _png(data: bytes, random: Random) -> bytes:
    """One chunk, with the right sum; pixels under their compression."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return _flip(data, random)
    chosen = random.randrange(len(chunks))
    name, part = chunks[chosen]
    try:
        pixels = zlib.decompress(part) if name == b"IDAT" else None
    except zlib.error:
        pixels = None
    damage = random.choice((_flip, _whole, _block, _cut))
    chunks[chosen] = name, damage(part, random) if pixels is None else zlib.compress(damage(pixels, random))
    packed = [struct.pack(">I", len(p)) + n + p + struct.pack(">I", zlib.crc32(n + p)) for n, p in chunks]
    return data[:8] + b"".join(packed)


def _glb(data: bytes, random: Random) -> bytes:
    """The document, or the numbers, of a binary glTF, with lengths that are right."""
    if len(data) < 28:
        return _flip(data, random)
    (length,) = struct.unpack("<I", data[12:16])
    text, rest = data[20 : 20 + length], data[28 + length :]
    if random.random() < 0.7:
        text = random.choice((_tree, _tree, _number, _word))(text, random)
    else:
        rest = random.choice((_real, _whole, _cut, _flip))(rest, random)
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(rest)) + struct.pack("<I4s", len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(rest), b"BIN\0") + rest


def _checkpoint(data: bytes, random: Random) -> bytes:
    """Metadata, or tensors and their head, of a checkpoint, under a hash that is right."""
    length = int.from_bytes(data[40:48], "little")
    head, body = data[48 : 48 + length], data[48 + length :]
    if random.random() < 0.5:
        head = random.choice((_tree, _tree, _number))(head, random)
    else:
        size = int.from_bytes(body[:8], "little")
        text, numbers = body[8 : 8 + size], body[8 + size :]
        if random.random() < 0.7:
            text = random.choice((_tree, _tree, _number))(text, random)
        else:
            numbers = random.choice((_real, _cut, _flip))(numbers, random)
        body = len(text).to_bytes(8, "little") + text + numbers
    rest = len(head).to_bytes(8, "little") + head + body
    return data[:8] + hashlib.sha256(rest).digest() + rest
