"""Maps against a truth: what the figures are, which files are taken, what is refused."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.phantom.map_scores import score_scan, scored_scans

RNG = np.random.default_rng(0)
SHAPE = (12, 10, 3)
AFFINE = np.diag([-2.0, -2.0, 5.0, 1.0])
TRUE = {
    "cbf": RNG.uniform(20, 80, SHAPE),
    "tmax": RNG.uniform(0.5, 12, SHAPE),
    "delay": RNG.uniform(0.1, 6, SHAPE),
}


def write(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume.astype(np.float32), affine), path)


@pytest.fixture
def truth(tmp_path) -> Path:
    """The truth of one scan; the first row of voxels is no tissue."""
    folder = tmp_path / "truth" / "case_1"
    tissue = np.ones(SHAPE)
    tissue[0] = 0.2
    for name, volume in {**TRUE, "tissue": tissue}.items():
        write(folder / f"{name}.nii.gz", volume)
    (folder / "truth.json").write_text(json.dumps({"vendor": "B"}))
    return folder


def test_the_truth_scores_as_the_truth(truth):
    scores = score_scan(truth, truth)
    assert [score.map for score in scores] == ["cbf", "tmax", "delay"]
    for score in scores:
        assert (score.scan, score.vendor, score.covered) == ("case_1", "B", 1)
        assert score.correlation == pytest.approx(1)
        assert (score.ratio, score.difference, score.error) == (1, 0, 0)
    assert [score.late_dice == 1 for score in scores] == [False, True, False]


def test_figures_of_a_known_error(truth, tmp_path):
    maps = tmp_path / "maps"
    write(maps / "scan_CBF.nii", 0.5 * TRUE["cbf"])
    late = TRUE["tmax"] + 2
    late[9:] = -30  # background
    write(maps / "tmax.nii.gz", late)
    cbf, tmax = score_scan(maps, truth)
    assert cbf.ratio == pytest.approx(0.5) and cbf.correlation == pytest.approx(1)
    assert cbf.error == -cbf.difference == pytest.approx(np.median(0.5 * TRUE["cbf"][1:]), rel=1e-5)
    assert tmax.difference == tmax.error == pytest.approx(2, abs=1e-5)
    assert tmax.covered == pytest.approx(8 / 11)
    true, found = (TRUE["tmax"][1:9] + add > 6 for add in (0, 2))
    assert tmax.late_dice == pytest.approx(2 * (true & found).sum() / (true.sum() + found.sum()))


@pytest.mark.parametrize("background", [0, -30])
def test_a_tmax_of_0_is_a_value_where_there_is_flow(truth, tmp_path, background):
    maps, measured = tmp_path / "maps", np.arange(SHAPE[0])[:, None, None] < 9
    early = np.maximum(TRUE["tmax"] - 3, 0)
    assert (early[1:9] == 0).any()
    write(maps / "cbf.nii.gz", np.where(measured, TRUE["cbf"], 0))
    write(maps / "tmax.nii.gz", np.where(measured, early, background))
    cbf, tmax = score_scan(maps, truth)
    assert cbf.covered == tmax.covered == pytest.approx(8 / 11)
    assert tmax.difference == pytest.approx(np.median((early - TRUE["tmax"])[1:9]), abs=1e-5)


def test_maps_are_compared_by_position(truth, tmp_path):
    turned = np.diag([2.0, -2.0, 5.0, 1.0])
    turned[0, 3] = -2.0 * (SHAPE[0] - 1)
    write(tmp_path / "maps" / "cbf.nii.gz", TRUE["cbf"][::-1], turned)
    (score,) = score_scan(tmp_path / "maps", truth)
    assert score.error == 0 and score.correlation == pytest.approx(1)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has none of the maps cbf.nii.gz, cbv.nii.gz"),
        ({"cbf.nii.gz": TRUE["cbf"], "a_cbf.nii": TRUE["cbf"]}, "has 2 files for cbf"),
        ({"cbf.nii.gz": np.zeros(SHAPE)}, "has values in 0 % of the brain's tissue"),
        ({"mtt.nii.gz": TRUE["cbf"]}, "has no mtt; write the phantom anew"),
    ],
)
def test_what_cannot_be_scored_is_named(truth, tmp_path, files, message):
    maps = tmp_path / "maps"
    maps.mkdir()
    for name, volume in files.items():
        write(maps / name, volume)
    with pytest.raises(ValueError, match=message):
        score_scan(maps, truth)


def test_all_scans_of_a_folder_by_their_names(truth, tmp_path):
    maps = tmp_path / "maps"
    with pytest.raises(ValueError, match=r"has no subfolder case_1 \(1 of 1 scans\)"):
        scored_scans(maps, truth.parent)
    (maps / "case_1").mkdir(parents=True)
    assert scored_scans(maps, truth.parent) == [(maps / "case_1", truth)]
    assert scored_scans(maps, truth) == [(maps, truth)]
    with pytest.raises(ValueError, match="has no truth.json, neither itself nor"):
        scored_scans(maps, tmp_path)


def test_the_command_prints_and_writes_a_table(truth, tmp_path, capfd):
    out = tmp_path / "scores.csv"
    words = ["score-maps", str(truth), str(truth), "-o", str(out)]
    assert cli.main(words) == 0
    rows = list(csv.DictReader(out.open()))
    assert [(row["map"], row["ratio"]) for row in rows] == [
        *(("cbf", "1.0"), ("tmax", "1.0"), ("delay", "1.0"))
    ]
    assert cli.main(words) == 2
    assert "--overwrite" in capfd.readouterr().err
    assert cli.main([*words, "--overwrite"]) == 0
