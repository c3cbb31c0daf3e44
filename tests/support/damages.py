"""What can go wrong with downloaded scans, drawn at random by hypothesis and applied to files.

A damage is a name and its arguments, so that a failing example reads like a recipe.
"""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import unicodedata
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

HEADER_BYTES = 348
# Field -> offset and struct format in a little-endian NIfTI-1 header.
FIELDS = {
    "sizeof_hdr": (0, "<i"),
    **{f"dim[{i}]": (40 + 2 * i, "<h") for i in range(8)},
    "datatype": (70, "<h"),
    "bitpix": (72, "<h"),
    **{f"pixdim[{i}]": (76 + 4 * i, "<f") for i in range(5)},
    "vox_offset": (108, "<f"),
    "scl_slope": (112, "<f"),
    "scl_inter": (116, "<f"),
    "qform_code": (252, "<h"),
    "sform_code": (254, "<h"),
    "quatern_b": (256, "<f"),
    "srow_x[0]": (280, "<f"),
}
_INTEGERS = st.one_of(
    st.sampled_from([-32768, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 32, 64, 128, 768, 1536, 30000, 32767]),
    st.integers(-32768, 32767),
)
_FLOATS = st.one_of(
    st.sampled_from([0.0, -1.0, np.nan, np.inf, -np.inf, 1e-45, 1e-30, 3e38, 352.5, 1e9]),
    st.floats(width=32),
)
_NAMES = (
    "with space",
    " leading and trailing ",
    unicodedata.normalize("NFC", "Müller"),
    unicodedata.normalize("NFD", "Müller"),
    "脳梗塞",
    "\N{BRAIN}",
    "new\nline",
    "tab\tand\x1b[31mred",
    "line\u2028separator\x85",
    "'; rm -rf $HOME; '",
    "%s%d{0}",
    "x" * 255,
    "\udcff\udcfe",  # bytes that are not UTF-8
    "..",
    "CON",
    "case_1",
)
_JSON_TEXTS = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"Train_01_A"',
    b'{"description": null}',
    b'{"description": ["Train_01"]}',
    b'{"description": "ISLES 2018 - TRAIN - Train_../../etc - CT"}',
    b'{"description": "Train_01\\u0000\\n../../../etc/passwd"}',
    b'{"description": NaN}',
    b'{"description": 1e999}',
    b"\xff\xfe\x00\x01",
    b"\xef\xbb\xbf" + b'{"description": "Train_02_A"}',
    b'{"description": "Train_' + b"9" * 5000 + b'"}',
    b"9" * 5000,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"description": "' + b"A" * 2_000_000 + b'"}',
)
_PATIENTS_TEXTS = (
    ("csv", b"case,patient\ncase_1,1\ncase_2,2\ncase_3,3\n"),
    ("csv", b"case,patient\ncase_1,\0\ncase_2,2\ncase_3,2\n"),
    ("csv", b"case,patient\r\ncase_1,../../x\r\ncase_2,/etc\r\ncase_3,=cmd()\r\n"),
    ("csv", b'case,patient\ncase_1,"' + b"x" * 200_000 + b'"\n'),
    ("csv", b"case,patient\ncase_1\n"),
    ("csv", b"case,patient,case\ncase_1,1,2\n"),
    ("csv", b"\0\0\0"),
    ("csv", b""),
    ("csv", b'"'),
    ("csv", b"case,patient\n,,,,\n"),
    ("json", b'{"train": {"case_1": 1, "case_2": 2, "case_3": 3}, "test": ["case_1"]}'),
    ("json", b'{"train": {"case_1": 1, "case_2": 2, "case_3": 3}, "test": 7}'),
    ("json", b'{"case_1": 1, "case_2": true, "case_3": null}'),
    ("json", b'{"case_1": ' + b"9" * 5000 + b"}"),
    ("json", b'{"case_1": "' + b"9" * 5000 + b'", "case_2": 2, "case_3": 3}'),
    ("json", b'{"case_' + b"9" * 5000 + b'": 1}'),
    ("json", b'{"case_1": 1, "case_001": 2}'),
    ("json", b"[" * 100_000),
    ("json", b"NaN"),
    ("json", b"\xff\xfe"),
)


def header_bytes(path, offset, content):
    """Other bytes somewhere in the header."""
    data = bytearray(path.read_bytes())
    data[offset : offset + len(content)] = content[: HEADER_BYTES - offset]
    path.write_bytes(bytes(data))


def header_field(path, name, value):
    """One field of the header, with a value that may not make sense."""
    offset, form = FIELDS[name]
    header_bytes(path, offset, struct.pack(form, value))


def huge(path, side, compressed):
    """A header that announces ``side``^3 voxels or more, behind a plain or a compressed name."""
    for axis in (1, 2, 3):
        header_field(path, f"dim[{axis}]", side)
    if compressed:
        gzipped_name(path, True)


def voxels(path, value, position, dtype):
    """A voxel that is not a finite number; with another dtype, all voxels are affected."""
    data = bytearray(path.read_bytes())
    n_bytes = np.dtype(dtype).itemsize
    start = 352 + int(position * max(0, len(data) - 352 - n_bytes))
    data[start : start + n_bytes] = np.array(value).astype(dtype).tobytes()
    path.write_bytes(bytes(data))


def truncated(path, share):
    """The first part of the file alone."""
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def trailing(path, content):
    """Something after the end."""
    path.write_bytes(path.read_bytes() + content)


def replaced(path, content):
    """Something else altogether."""
    path.write_bytes(content)


def gzipped_name(path, is_gzipped):
    """``.nii.gz``, compressed or not."""
    data = path.read_bytes()
    _short(path.with_name(path.name + ".gz")).write_bytes(
        gzip.compress(data, 1, mtime=0) if is_gzipped else data
    )
    path.unlink()


def gzipped_content(path):
    """Compressed behind the name ``.nii``."""
    path.write_bytes(gzip.compress(path.read_bytes(), 1, mtime=0))


def gzip_damaged(path, share, content):
    """A compressed file that ends early or has other bytes in it."""
    data = gzip.compress(path.read_bytes(), 1, mtime=0)
    at = int(share * len(data))
    data = data[:at] + content + data[at + len(content) :] if content else data[:at]
    _short(path.with_name(path.name + ".gz")).write_bytes(data)
    path.unlink()


def special(path, kind):
    """A folder, a link to nothing, a loop of links or a pipe in place of the file."""
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nothing.nii")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")


def duplicate(path, other_folder):
    """A second file of the same modality."""
    name = path.name.replace(".nii", "9.nii", 1) if path.suffix == ".nii" else path.name + "x"
    folder = path.parent.with_name(path.parent.name + "9") if other_folder else path.parent
    folder.mkdir(exist_ok=True)
    shutil.copy(path, _short(folder / name))


def duplicate_case(path):
    """The folder of the scan under a second spelling of its number."""
    case = path.parent.parent
    prefix, _, number = case.name.rpartition("_")
    other = case.with_name(f"{prefix}_0{number}")
    if not other.exists():
        with suppress(shutil.Error):  # a pipe in it
            shutil.copytree(case, other, symlinks=True)


def file_name(path, name):
    """Another name before the modality."""
    _rename(path, name + path.name[max(0, path.name.upper().find(".O.")) :])


def folder_name(path, name):
    """Another name of the folder of the file."""
    _rename(path.parent, name)


def letter_case(path, upper):
    """Letters of the other case."""
    _rename(path, path.name.upper() if upper else path.name.lower())


def sidecar(path, content):
    """A JSON file beside the scan."""
    _short(path.with_suffix(".json")).write_bytes(content)


def removed(path):
    """No file at all."""
    path.unlink()


class _NameTooLong(Exception):
    """The file system would refuse it, so nobody can have such a file."""


def _short(path):
    if len(os.fsencode(path.name)) > 255:
        raise _NameTooLong
    return path


def _rename(path, name):
    target = path.with_name(os.fsdecode(os.fsencode(name)[-255:])) if name else path
    if name not in (".", "..") and not target.exists():
        path.rename(target)


_SHARES = st.floats(0, 1)
ARGUMENTS = {
    header_bytes: st.tuples(st.integers(0, HEADER_BYTES - 1), st.binary(min_size=1, max_size=16)),
    header_field: st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: st.tuples(st.just(name), _FLOATS if FIELDS[name][1] == "<f" else _INTEGERS)
    ),
    huge: st.tuples(st.sampled_from([3000, 30000, 32767]), st.booleans()),
    voxels: st.tuples(
        st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45]),
        _SHARES,
        st.sampled_from(["<f4", "<f8"]),
    ),
    truncated: st.tuples(_SHARES),
    trailing: st.tuples(st.binary(min_size=1, max_size=400)),
    replaced: st.tuples(st.one_of(st.just(b""), st.binary(max_size=2000))),
    gzipped_name: st.tuples(st.booleans()),
    gzipped_content: st.tuples(),
    gzip_damaged: st.tuples(_SHARES, st.binary(max_size=6)),
    special: st.tuples(st.sampled_from(["folder", "dangling", "loop", "pipe"])),
    duplicate: st.tuples(st.booleans()),
    duplicate_case: st.tuples(),
    file_name: st.tuples(st.sampled_from(_NAMES)),
    folder_name: st.tuples(st.sampled_from(_NAMES)),
    letter_case: st.tuples(st.booleans()),
    sidecar: st.tuples(st.sampled_from(_JSON_TEXTS)),
    removed: st.tuples(),
}
BY_NAME = {damage.__name__: damage for damage in ARGUMENTS}


@st.composite
def _damage(draw):
    """(name, which of the data set's files, arguments)."""
    damage = draw(st.sampled_from(list(ARGUMENTS)))
    return damage.__name__, draw(st.integers(0, 99)), draw(ARGUMENTS[damage])


@st.composite
def plans(draw):
    """A small data set, what is wrong with it, and how it is converted."""
    kind = draw(st.sampled_from(["isles2018", "isles2018", "isles2017", "isles2024"]))
    options = draw(st.sampled_from([[], [], ["--no-brain-mask"]]))
    if kind == "isles2018":
        options = options + draw(st.sampled_from([[], [], ["--preset", "real_dwi"]]))
    return {
        "kind": kind,
        "n_training": draw(st.sampled_from([2, 2, 2, 3, 1])),
        "testing": draw(st.sampled_from([False, False, False, True])),
        "options": options,
        "patients": draw(st.sampled_from([None] * 20 + list(_PATIENTS_TEXTS))),
        "damages": draw(st.lists(_damage(), min_size=1, max_size=3)),
    }


def build(plan: dict, src: Path, writers) -> None:
    """Write the data set of a plan and damage it."""
    _WRITERS[plan["kind"]](plan, src, writers)
    for name, index, arguments in plan["damages"]:
        files = sorted(path for path in src.rglob("*.nii*") if _is_plain(path))
        if files:
            with suppress(_NameTooLong):
                BY_NAME[name](_uncompressed(files[index % len(files)]), *arguments)


def _isles2018(plan, src, writers):
    scans = writers.Scans(src)
    for number in range(1, plan["n_training"] + 1):
        scans.add(number, dwi=True)
    if plan["testing"]:
        scans.add(1, "TESTING", dwi=True)


def _isles2017(plan, src, writers):
    scans = writers.MriScans(src)
    for number in range(1, plan["n_training"] + 1):
        scans.add(number)
    if plan["testing"]:
        scans.add(1, "testing")


def _isles2024(plan, src, writers):
    scans = writers.BidsScans(src)
    for number in range(1, plan["n_training"] + 1):
        scans.add(number)
    if plan["testing"]:
        scans.add(9, lesion=False)


_WRITERS = {"isles2018": _isles2018, "isles2017": _isles2017, "isles2024": _isles2024}


def _uncompressed(path):
    """The file itself, or in its place its content: damages are done to that."""
    if path.suffix != ".gz":
        return path
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):  # damaged already
        return path
    path.unlink()
    path.with_suffix("").write_bytes(content)
    return path.with_suffix("")


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size > HEADER_BYTES
