"""The converters on damaged data sets: one line and exit code 2, or a complete data set.

``STROKESYNTH_FUZZ_CASES`` sets how many data sets are drawn.
"""

import contextlib
import io
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.cli import main

CASES = int(os.environ.get("STROKESYNTH_FUZZ_CASES", "100"))


def convert(kind: str, src: Path, *options: str) -> tuple[int, str]:
    """Run the command; its exit code and stderr."""
    stderr = io.StringIO()
    command = ["convert", kind, str(src), "--folds", "2", "--workers", "1", *options]
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.StringIO()):
        return main(command), stderr.getvalue()


def check_refused(lines: list[str], raw: Path) -> None:
    """One line, and nothing that nnU-Net would take for a data set."""
    assert len(lines) == 1 and lines[0].startswith("strokesynth convert: ")
    assert len(lines[0]) > 40
    assert not list(raw.rglob("dataset.json"))


def check_whole(folder: Path) -> None:
    """Every case has all its files, with the recorded sizes, finite and on one grid."""
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    n_channels = len(description["channel_names"])
    records = sorted((folder / "conversion").glob("*_[0-9]*.json"))
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in records]
    trained = [case["case_id"] for case in cases if case["case_id"].startswith("case")]
    assert len(trained) == description["numTraining"] == len(list((folder / "labelsTr").iterdir()))
    images = [path for name in ("imagesTr", "imagesTs") for path in (folder / name).glob("*")]
    assert len(images) == n_channels * len(cases)
    for case in cases:
        outputs = {folder / name: size for name, size in case["outputs"].items()}
        assert sum("images" in path.parent.name for path in outputs) == n_channels
        assert {path: path.stat().st_size for path in outputs} == outputs
        volumes = [sitk.ReadImage(str(path)) for path in outputs]
        grids = {(v.GetSize(), v.GetSpacing(), v.GetOrigin(), v.GetDirection()) for v in volumes}
        assert len(grids) == 1, grids
        assert all(np.isfinite(sitk.GetArrayViewFromImage(volume)).all() for volume in volumes)
        spacing = [float(size) for size in case["row"]["spacing_zyx_mm"]]
        assert np.allclose(volumes[0].GetSpacing()[::-1], spacing, rtol=1e-5, atol=1e-6)
        labels = folder / "labelsTr" / f"{case['case_id']}.nii.gz"
        if case["case_id"] in trained:
            assert set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(labels))))) <= {0, 1}
    splits = json.loads((folder / "splits_final.json").read_text()) if trained else []
    for split in splits:
        held = [case for members in split.values() for case in members]
        assert sorted(held) == sorted(trained)


@pytest.fixture(scope="module")
def fuzz_folder(tmp_path_factory):
    """A folder for one data set at a time; nnU-Net's variables point into it."""
    base = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            patch.setenv(name, str(base / name))
        yield base


def run_plan(plan: dict, base: Path, helpers) -> int:
    """Build one data set, convert it, check what there is afterwards; the exit code."""
    for path in list(base.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    src, raw = base / "scans", base / "nnUNet_raw"
    raw.mkdir()
    helpers.damages.build(plan, src, helpers.writers)
    options = list(plan["options"])
    if plan["patients"] and plan["kind"] == "isles2018":
        suffix, content = plan["patients"]
        (base / f"patients.{suffix}").write_bytes(content)
        options += ["--patients", str(base / f"patients.{suffix}")]
    before = helpers.digests(src)
    code, stderr = convert(plan["kind"], src, *options)
    assert helpers.digests(src) == before
    assert helpers.leftovers(base) == []
    assert code in (0, 2)
    if code == 2:
        check_refused(helpers.without_bars(stderr), raw)
    else:
        (folder,) = raw.iterdir()
        check_whole(folder)
    return code


@pytest.fixture(scope="module")
def helpers(damages, writers, digests, leftovers, without_bars):
    """What ``run_plan`` needs of this folder's fixtures."""
    names = {"damages": damages, "writers": writers, "digests": digests}
    return SimpleNamespace(**names, leftovers=leftovers, without_bars=without_bars)


@settings(
    max_examples=CASES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_damaged_data_sets(data, fuzz_folder, helpers):
    run_plan(data.draw(helpers.damages.plans()), fuzz_folder, helpers)
