"""The flipped head laid over the head: known tilts and shifts are found again."""

import csv
import json
import math

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.channels import (
    MIRRORED,
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.ctp import mirror as module
from nnunetv2_strokesynth.ctp.brain_mask import brain_of_maps
from nnunetv2_strokesynth.ctp.mirror import (
    FLIPPED,
    REGISTERED,
    find_mirror,
    mirrored,
)
from nnunetv2_strokesynth.io.nifti import (
    read_header,
    read_volume,
)

SPACING = (5.0, 2.0, 1.6)


def symmetric_head(tilt_deg, shift_mm, spacing=SPACING, shape=(3, 92, 110), noise=3.0):
    """CT in HU and brain of a head with equal sides, tilted and shifted by (x, y) mm."""
    _, n_y, n_x = shape
    y = (np.arange(n_y) - (n_y - 1) / 2)[:, None] * spacing[1] - shift_mm[1]
    x = (np.arange(n_x) - (n_x - 1) / 2)[None] * spacing[2] - shift_mm[0]
    a = math.radians(tilt_deg)
    u, v = np.cos(a) * x + np.sin(a) * y, -np.sin(a) * x + np.cos(a) * y
    brain = (u / 55) ** 2 + (v / 72) ** 2 < 1
    ct = 30 + 8 * np.cos(np.abs(u) / 9) * np.sin(v / 13)
    ct[(np.abs(np.abs(u) - 12) < 5) & (np.abs(v) < 25)] = 8  # ventricles
    skull = ((u / 61) ** 2 + (v / 78) ** 2 < 1) & ~brain
    ct = np.where(brain, ct, np.where(skull, 900.0, -1000.0))
    rng = np.random.default_rng(0)
    return ct + rng.normal(0, noise, shape), np.broadcast_to(brain, shape).copy()


def worst_error_mm(transform, tilt_deg, shift_mm):
    """Over points of the brain: found against true position of the mirror point in the flip."""
    a = math.radians(tilt_deg)
    across = np.array([math.cos(a), math.sin(a)])  # from the midline to the right
    points = np.random.default_rng(1).uniform(-45, 45, (30, 2)) + shift_mm
    errors = []
    for point in points:
        opposite = point - 2 * ((point - shift_mm) @ across) * across
        in_the_flip = opposite * (-1, 1)
        errors.append(np.linalg.norm(transform.TransformPoint(point.tolist()) - in_the_flip))
    return max(errors)


@pytest.mark.parametrize(
    ("tilt_deg", "shift_mm", "spacing"),
    [
        (0, (0, 0), SPACING),
        (6, (5, -4), SPACING),
        (-11, (-9, 3), SPACING),
        (14, (4, 6), (8.0, 1.6, 2.1)),
    ],
)
def test_tilt_and_shift_of_a_head_are_found(tilt_deg, shift_mm, spacing):
    ct, brain = symmetric_head(tilt_deg, shift_mm, spacing)
    found = find_mirror(ct, brain, spacing)
    assert found.rule == REGISTERED or tilt_deg == 0
    assert found.rotation_deg == pytest.approx(-2 * tilt_deg, abs=0.5)
    assert worst_error_mm(found.transform, tilt_deg, shift_mm) < 0.5 * min(spacing[1:])
    assert found.correlation_after >= max(found.correlation_before, 0.95)


def test_mirrored_volume_shows_the_other_side():
    """A lesion on one side appears, in the mirror image, opposite to where it is."""
    tilt_deg, shift_mm = 6, (5, -4)
    ct, brain = symmetric_head(tilt_deg, shift_mm, noise=0.0)
    found = find_mirror(ct, brain, SPACING)
    other = mirrored(np.where(brain, ct, 0), found.transform, SPACING)
    inside = brain & (mirrored(brain, found.transform, SPACING) > 0.99)
    assert inside.sum() > 0.95 * brain.sum()
    assert np.abs(other - ct)[inside].mean() < 0.5
    a = math.radians(tilt_deg)
    across = np.array([math.cos(a), math.sin(a)])
    spot = np.zeros_like(ct)
    centre = np.array(shift_mm) + 30 * across
    rows, columns = (
        round(mm / size + (n - 1) / 2)
        for mm, size, n in zip(centre[::-1], SPACING[1:], ct.shape[1:], strict=True)
    )
    spot[:, rows - 1 : rows + 2, columns - 1 : columns + 2] = 1
    moved = mirrored(spot, found.transform, SPACING)
    mass = moved.sum(axis=0)
    y = (mass.sum(axis=1) @ np.arange(len(mass)) / mass.sum() - (len(mass) - 1) / 2) * SPACING[1]
    width = mass.shape[1]
    x = (mass.sum(axis=0) @ np.arange(width) / mass.sum() - (width - 1) / 2) * SPACING[2]
    expected = np.array(shift_mm) - 30 * across
    np.testing.assert_allclose([x, y], expected, atol=1.5)


def test_plain_flip_is_exact():
    volume = np.random.default_rng(0).normal(size=(2, 7, 9)).astype(np.float32)
    flipped = mirrored(volume, sitk.Euler2DTransform(), (3.0, 0.7, 1.3))
    np.testing.assert_allclose(flipped, volume[:, :, ::-1], atol=1e-5)


def test_plain_flip_where_there_is_nothing_to_compare():
    _, brain = symmetric_head(4, (3, 3))
    found = find_mirror(np.full(brain.shape, 30.0), brain, SPACING)
    assert found.rule == FLIPPED and found.rotation_deg == found.shift_mm == 0
    assert found.correlation_before == found.correlation_after == 0


def test_plain_flip_where_registering_fails(monkeypatch):
    ct, brain = symmetric_head(4, (3, 3))

    def fails(*args):
        raise RuntimeError("all samples map outside moving image buffer")

    monkeypatch.setattr(module, "_register", fails)
    found = find_mirror(ct, brain, SPACING)
    assert found.rule == FLIPPED and found.correlation_after == found.correlation_before > 0


def test_what_is_outside_enters_no_mean():
    """A brain of one value stays at that value up to its turned edge, whatever lies beside it."""
    brain = symmetric_head(6, (5, -4))[1]
    turn = sitk.Euler2DTransform((0.0, 0.0), np.deg2rad(7), (1.3, -2.6))
    expected = mirrored(brain.astype(np.float32), turn, SPACING) >= 0.5
    for outside in (0.0, -30.0, 1e6):
        volume = np.where(brain, np.float32(8), np.float32(outside))
        found = mirrored(volume, turn, SPACING, inside=brain)
        np.testing.assert_allclose(found, np.where(expected, 8.0, 0.0), rtol=1e-5)


def test_same_scan_same_transform():
    ct, brain = symmetric_head(6, (5, -4))
    first, second = (find_mirror(ct, brain, SPACING) for _ in range(2))
    assert first.transform.GetParameters() == second.transform.GetParameters()


def test_converter_writes_the_mirrored_channels(scans, nnunet_raw, caplog):
    """Their order, the skull stripped before the flip, and the columns of the report."""
    caplog.set_level("INFO", logger="nnunetv2_strokesynth")
    scans.add(1).add(2).add(3)
    words = "-d 21 --preset clerigues2019 --folds 2 --workers 1".split()
    assert main(["convert", "isles2018", str(scans.root), *words]) == 0
    assert "StrokeSynthTrainer" not in caplog.text
    folder = nnunet_raw / "Dataset021_ISLES2018"
    channels = json.loads((folder / "dataset.json").read_text())["channel_names"]
    assert tuple(channels.values()) == PRESETS["clerigues2019"].names
    arrays = {name: read_volume(scans.path(2, name)) for name in MIRRORED}
    spacing = read_header(scans.path(2, "CT")).spacing_zyx_mm
    written = [
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"imagesTr/case_002_{k:04d}.nii.gz")))
        for k in range(10)
    ]
    brain = brain_of_maps(np.stack([arrays[name] for name in PERFUSION_MAPS]))
    found = find_mirror(arrays["CT"], brain, spacing)
    for image, other, name in zip(written[:5], written[5:], MIRRORED, strict=True):
        np.testing.assert_allclose(image, np.where(brain, arrays[name], 0), rtol=1e-5)
        inside = brain if name == "CT" else brain & (arrays[name] != 0)
        expected = mirrored(arrays[name], found.transform, spacing, inside=inside)
        np.testing.assert_allclose(other, np.where(brain, expected, 0), rtol=1e-4, atol=1e-4)
    with (folder / "conversion_report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rules = [row["mirror_rule"] for row in rows]
    n_registered = rules.count(REGISTERED)
    assert n_registered + rules.count(FLIPPED) == 3
    assert f"{n_registered} registered, {3 - n_registered} plain flips" in caplog.text
    for row in rows:
        before, after = (float(row[f"mirror_correlation_{when}"]) for when in ("before", "after"))
        assert after > before if row["mirror_rule"] == REGISTERED else after == before
    assert float(rows[1]["mirror_rotation_deg"]) == pytest.approx(found.rotation_deg, abs=1e-3)
    assert float(rows[1]["mirror_shift_mm"]) == pytest.approx(found.shift_mm, abs=1e-3)
