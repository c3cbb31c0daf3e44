"""What can be wrong with the inputs of a command: each damage spoils one file, drawn by a seed.

A damage takes a file and a random generator and returns what it did, in a few words. It makes
nothing that a disk or a colleague could not make.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

Random = np.random.Generator
Damage = Callable[[Path, Random], str]
NAMES = (
    "with space",
    " both ends ",
    unicodedata.normalize("NFD", "Müller"),
    "脳梗塞",
    "new\nline",
    "%s%d{0}",
    "<b>&$x$",
    "-o",
    "x" * 200,
    "case_1",
    ".hidden",
    "fold_x",
)
VALUES: tuple[Any, ...] = (
    None, True, [], {}, "", "text", -1, 0, 1, 2.5, 1e308, float("nan"), float("inf"), [1, "a"],
    {"a": 1}, "\u0000", 10**30, "../../x",
)  # fmt: skip


def pick(options: Any, random: Random) -> Any:
    """One of several, without numpy making something else of it."""
    options = list(options)
    return options[int(random.integers(len(options)))]


def empty(path: Path, random: Random) -> str:
    """Zero bytes, as a full disk leaves them."""
    path.write_bytes(b"")
    return "empty"


def cut(path: Path, random: Random) -> str:
    """The first part alone, as a broken copy leaves it."""
    share = float(random.uniform(0, 1))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return f"cut at {share:.2f}"


def garbage(path: Path, random: Random) -> str:
    """Something else altogether."""
    path.write_bytes(random.bytes(int(random.integers(1, 500))))
    return "garbage"


def flipped(path: Path, random: Random) -> str:
    """A few other bytes anywhere."""
    content = bytearray(path.read_bytes())
    for at in random.integers(0, max(1, len(content)), size=int(random.integers(1, 9))):
        if content:
            content[int(at)] = int(random.integers(256))
    path.write_bytes(bytes(content))
    return "bytes flipped"


def removed(path: Path, random: Random) -> str:
    """No file."""
    path.unlink()
    return "removed"


def folder(path: Path, random: Random) -> str:
    """A folder of that name."""
    path.unlink()
    path.mkdir()
    return "a folder"


def link(path: Path, random: Random) -> str:
    """A link to nothing, or to itself."""
    target = pick(["nothing", path.name], random)
    path.unlink()
    path.symlink_to(target)
    return f"a link to {target}"


def renamed(path: Path, random: Random) -> str:
    """Another name with the same ending."""
    ending = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    name = pick(NAMES, random)
    target = path.with_name(name + ending)
    if not target.exists():
        path.rename(target)
    return f"renamed to {name[:20]!r}"


def swapped(path: Path, random: Random) -> str:
    """The content of another file of the same ending."""
    others = [p for p in path.parent.rglob(f"*{path.suffix}") if p.is_file() and p != path]
    if others:
        shutil.copy(pick(others, random), path)
    return "content of a neighbour"


def copied(path: Path, random: Random) -> str:
    """A second file of the same case."""
    name = path.name.removesuffix(".gz") if path.name.endswith(".gz") else f"copy_{path.name}"
    if not path.with_name(name).exists():
        shutil.copy(path, path.with_name(name))
    return f"copied to {name}"


def json_value(path: Path, random: Random) -> str:
    """A value of another kind, or none, somewhere in the file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    holder, key, depth = None, None, 0
    node = content
    while isinstance(node, (dict, list)) and len(node) and (depth == 0 or random.random() < 0.6):
        holder, key = node, pick(node if isinstance(node, dict) else range(len(node)), random)
        node, depth = holder[key], depth + 1
    if holder is None:
        return "nothing to change"
    if random.random() < 0.25:
        del holder[key]
        done = f"{key} deleted"
    else:
        holder[key] = pick(VALUES, random)
        done = f"{key} = {holder[key]!r}"
    path.write_text(json.dumps(content), encoding="utf-8")
    return done


def json_text(path: Path, random: Random) -> str:
    """No JSON, or other JSON than an object."""
    texts = (b"[]", b"null", b"3", b'"a"', b"{", b"NaN", b"[" * 50_000, b"\xff\xfe\x00", b"{}",
             b"\xef\xbb\xbf{}", b'{"a": ' * 50_000)  # fmt: skip
    text = pick(texts, random)
    path.write_bytes(text)
    return f"text {text[:8]!r}"


def npz_arrays(path: Path, random: Random) -> str:
    """Probabilities of another shape, type, name or range."""
    with np.load(path) as stored:
        probs = stored["probabilities"]
    spoiled = {
        "flat": lambda: probs.ravel(),
        "one class": lambda: probs[:1],
        "three classes": lambda: np.concatenate([probs, probs[:1]]),
        "turned": lambda: np.swapaxes(probs, 1, -1),
        "cropped": lambda: probs[..., :-1],
        "not a number": lambda: np.full_like(probs, np.nan),
        "some not a number": lambda: np.where(random.random(probs.shape) < 0.1, np.nan, probs),
        "above one": lambda: probs * 7,
        "negative": lambda: -probs,
        "integers": lambda: probs.astype(np.int64),
        "half precision": lambda: probs.astype(np.float16),
        "complex": lambda: probs.astype(np.complex64),
        "text": lambda: probs.astype("U8"),
        "objects": lambda: probs.astype(object),
        "empty": lambda: probs[:, :0],
        "a number": lambda: np.float32(0.5),
    }
    name = pick(spoiled, random)
    key = pick(["probabilities"] * 6 + ["softmax"], random)
    np.savez_compressed(path, **{key: spoiled[name]()})
    return f"{key}: {name}"


def _load(path: Path) -> tuple[np.ndarray, nibabel.Nifti1Image]:
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image


def _save(path: Path, array: np.ndarray, like: nibabel.Nifti1Image, affine: Any = None) -> None:
    affine = like.affine if affine is None else affine
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm", "sec")
    if array.ndim == like.ndim:
        image.header.set_zooms(like.header.get_zooms()[: array.ndim])
    path.write_bytes(gzip.compress(image.to_bytes(), 1) if path.suffix == ".gz" else
                     image.to_bytes())  # fmt: skip


def voxels(path: Path, random: Random) -> str:
    """Other numbers: not finite, constant, negative, huge, or reversed."""
    array, image = _load(path)
    array = array.astype(np.float32)
    some = random.random(array.shape) < float(random.uniform(0, 0.6))
    name = pick(["nan", "inf", "all nan", "zero", "one", "huge", "tiny", "negative", "noise",
                 "not binary", "shifted"], random)  # fmt: skip
    made = {
        "nan": np.where(some, np.nan, array),
        "inf": np.where(some, np.inf, array),
        "all nan": np.full_like(array, np.nan),
        "zero": np.zeros_like(array),
        "one": np.ones_like(array),
        "huge": np.where(some, np.float32(3e38), array),
        "tiny": array * np.float32(1e-30),
        "negative": -array,
        "noise": random.normal(0, 100, array.shape).astype(np.float32),
        "not binary": array + np.float32(0.5),
        "shifted": array + np.float32(1024),
    }[name]
    _save(path, made.astype(np.float32), image)
    return f"voxels: {name}"


def shape(path: Path, random: Random) -> str:
    """Other sizes, more or fewer axes."""
    array, image = _load(path)
    made = {
        "one row": array[:, :1],
        "cropped": array[:-1],
        "turned": np.swapaxes(array, 0, 1),
        "one slice": array[:, :, :1],
        "first volume": array[..., 0],
        "one more axis": array[..., None],
        "two more axes": array[..., None, None],
        "doubled": np.concatenate([array, array], axis=-1),
        "two numbers": array.ravel()[:2],
        "one voxel": array[(slice(0, 1),) * array.ndim],
        "few frames": array[..., :3],
    }
    name = pick(made, random)
    _save(path, made[name], image)
    return f"shape: {name} {made[name].shape}"


def kind(path: Path, random: Random) -> str:
    """Another type of voxel."""
    array, image = _load(path)
    dtype = pick(["u1", "i2", "u2", "i4", "f4", "f8", "c8", "i1", "u4"], random)
    with np.errstate(all="ignore"):
        _save(path, np.nan_to_num(array).astype(dtype), image)
    return f"type {dtype}"


def geometry(path: Path, random: Random) -> str:
    """Another position, direction or size of the voxels."""
    array, image = _load(path)
    affine = np.array(image.affine, dtype=float)
    name = pick(["moved", "turned", "mirrored", "sheared", "zero", "nan", "huge", "small",
                 "identity", "oblique"], random)  # fmt: skip
    if name == "moved":
        affine[:3, 3] += random.normal(0, 30, 3)
    elif name == "turned":
        affine[:3, :3] = affine[:3, [1, 0, 2]]
    elif name == "mirrored":
        affine[0, :3] *= -1
    elif name == "sheared":
        affine[0, 1] += 2 * abs(affine[0, 0])
    elif name == "zero":
        affine[:3, 0] = 0
    elif name == "nan":
        affine[0, 0] = np.nan
    elif name in ("huge", "small"):
        affine[:3, :3] *= {"huge": 1e6, "small": 1e-6}[name]
    elif name == "identity":
        affine = np.eye(4)
    else:
        angle = np.deg2rad(25)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                         [0, 0, 1]])  # fmt: skip
        affine[:3, :3] = turn @ affine[:3, :3]
    new = nibabel.Nifti1Image(array, np.eye(4))
    new.header["vox_offset"] = 352
    with np.errstate(all="ignore"):
        new.header["srow_x"], new.header["srow_y"], new.header["srow_z"] = affine[:3]
        new.header["sform_code"], new.header["qform_code"] = pick([(1, 0), (0, 0), (2, 0)], random)
        new.header["pixdim"][1 : 1 + array.ndim] = image.header["pixdim"][1 : 1 + array.ndim]
    header = new.header.binaryblock + bytes(4)
    content = header + array.astype(array.dtype.newbyteorder("<")).tobytes(order="F")
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return f"geometry: {name}"


def header_bytes(path: Path, random: Random) -> str:
    """Other bytes in the header."""
    content = path.read_bytes()
    packed = path.suffix == ".gz"
    plain = bytearray(gzip.decompress(content) if packed else content)
    at = int(random.integers(0, 340))
    plain[at : at + 4] = pick([bytes(4), b"\xff" * 4, random.bytes(4), b"\x00\x00\x80\x7f"], random)
    path.write_bytes(gzip.compress(bytes(plain), 1) if packed else bytes(plain))
    return f"header byte {at}"


def table_cell(path: Path, random: Random) -> str:
    """Another cell in a CSV file, or a row more or less."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    row = pick(rows, random) if rows else []
    if row and random.random() < 0.7:
        row[int(random.integers(len(row)))] = pick(["", "nan", "text", "1e999", "-1", "\0"], random)
    elif row:
        row.append("more") if random.random() < 0.5 else row.pop()
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return "a cell changed"


def _elements(node: Dataset, random: Random) -> tuple[Dataset, DataElement]:
    """Any element of a data set or of an item in it, and what holds it."""
    while True:
        element = pick(list(node), random)
        if element.VR != "SQ" or not element.value or random.random() < 0.2:
            return node, element
        node = pick(element.value, random)


def dicom_element(path: Path, random: Random) -> str:
    """An element deleted, emptied, or with another value, anywhere in a DICOM file."""
    data = dcmread(path)
    node, element = _elements(data, random)
    name = element.keyword or str(element.tag)
    if random.random() < 0.3:
        del node[element.tag]
        done = f"{name} deleted"
    elif element.VR in ("US", "SS", "UL"):
        node[element.tag].value = pick((0, 1, 2, 7, 65535), random)
        done = f"{name} = {node[element.tag].value}"
    elif element.VR == "SQ":
        node[element.tag].value = pick(([], [Dataset()], list(element.value)[:-1]), random)
        done = f"{name} of {len(node[element.tag].value)} items"
    elif element.VR in ("OW", "OB"):
        node[element.tag].value = element.value[: int(random.integers(len(element.value)))]
        done = f"{name} cut"
    else:
        value = pick(
            ("", "0", "-1", "nan", "1e30", "text", "\\", "1\\2", "20200101", "9" * 40), random
        )
        raw = RawDataElement(element.tag, element.VR, len(value), value.encode(), 0, False, True)
        node._dict[element.tag] = raw
        done = f"{name} = {value!r}"
    data.save_as(path)
    return done


ANY: tuple[Damage, ...] = (empty, cut, garbage, flipped, removed, folder, link, renamed, swapped,
                           copied)  # fmt: skip
BY_ENDING: dict[str, tuple[Damage, ...]] = {
    ".json": (json_value, json_value, json_value, json_text),
    ".npz": (npz_arrays, npz_arrays),
    ".gz": (voxels, shape, kind, geometry, header_bytes),
    ".nii": (voxels, shape, kind, geometry, header_bytes),
    ".csv": (table_cell, table_cell),
    ".dcm": (dicom_element,),
}


def spoil(path: Path, random: Random) -> str:
    """One damage to a file: half of them know its kind. Returns what was done."""
    own = BY_ENDING.get(path.suffix, ())
    damage = pick(own if own and random.random() < 0.6 else ANY, random)
    try:
        return f"{path.name[:40]}: {damage(path, random)}"
    except Exception as error:  # damaged already, so that this one cannot be done
        return f"{path.name[:40]}: not {damage.__name__} ({type(error).__name__})"
