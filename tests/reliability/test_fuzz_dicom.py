"""Damaged DICOM folders: a series of the right shape comes out, or one error in plain words."""

import locale
import os
import shutil

import numpy as np
import pytest
from dicom_files import write_ctp
from enhanced_ct import write_enhanced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series

SHAPE = (10, 2, 6, 5)
CASES = int(os.environ.get("STROKESYNTH_FUZZ_CASES", "150"))
N_FILES = SHAPE[0] * SHAPE[1]

places = st.integers(0, N_FILES - 1)
offsets = st.integers(0, 3000)
damages = st.lists(
    st.one_of(
        st.tuples(
            st.just("bytes"), places, st.integers(0, 3000), st.binary(min_size=1, max_size=8)
        ),
        st.tuples(st.just("cut"), places, offsets),
        st.tuples(st.just("delete"), places),
        st.tuples(st.just("copy"), places, st.text(min_size=1, max_size=20)),
        st.tuples(st.just("litter"), places, st.binary(max_size=400)),
        st.tuples(st.just("folder"), places),
    ),
    min_size=1,
    max_size=3,
)


def apply(damage, paths):
    """Spoil one file of the series."""
    kind, place, *rest = damage
    path = paths[place]
    if kind in ("bytes", "cut", "copy", "delete") and not path.is_file():
        return
    if kind == "bytes":
        content = bytearray(path.read_bytes())
        start = rest[0] % len(content) if content else 0
        content[start : start + len(rest[1])] = rest[1]
        path.write_bytes(content)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[: rest[0]])
    elif kind == "delete":
        path.unlink()
    elif kind == "copy":
        name = "".join(c for c in rest[0] if c not in "/\0" and c.isprintable()) or "x"
        shutil.copy(path, path.with_name(f"copy {name}"))
    elif kind == "litter":
        path.with_name(f"litter {place}").write_bytes(bytes(128) + b"DICM" + rest[0])
    elif path.is_file():
        path.unlink()
        path.mkdir()


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Voxels and files of a series; each case damages a copy."""
    folder = tmp_path_factory.mktemp("series")
    ctp = np.random.default_rng(0).integers(-50, 90, SHAPE)
    return ctp, folder, [path.relative_to(folder) for path in write_ctp(folder, ctp).ravel()]


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(found=damages)
def test_a_series_or_one_error(series, tmp_path, found):
    ctp, folder, names = series
    own = tmp_path / "case"
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(folder, own)
    for damage in found:
        apply(damage, [own / name for name in names])
    before = locale.setlocale(locale.LC_ALL)
    try:
        read = read_ctp_series(own)
        frames = np.stack(list(read))
    except (ValueError, OSError) as error:
        assert str(error).strip()
        return
    assert frames.shape == (len(read.times_s), *read.shape_zyx)
    assert np.isfinite(frames).all()
    assert locale.setlocale(locale.LC_ALL) == before
    if {damage[0] for damage in found} <= {"copy", "litter"}:
        np.testing.assert_array_equal(frames, ctp)


in_file = st.integers(0, 12_000)
of_one_file = st.lists(
    st.one_of(
        st.tuples(st.just("bytes"), st.just(0), in_file, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), st.just(0), in_file),
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=CASES // 2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(of_one_file, st.booleans())
def test_an_enhanced_file_or_one_error(tmp_path, found, legacy):
    ctp = np.random.default_rng(0).integers(-50, 90, SHAPE)
    path = write_enhanced(tmp_path / "own" / "a", ctp, times_s=range(SHAPE[0]), legacy=legacy)
    for damage in found:
        apply(damage, [path])
    try:
        read = read_ctp_series(path.parent)
        frames = np.stack(list(read))
    except (ValueError, OSError) as error:
        assert str(error).strip()
        return
    assert frames.shape == (len(read.times_s), *read.shape_zyx)
    assert np.isfinite(frames).all()
