"""What the viewer reads: voxels above a threshold, the part that is shown, and the values."""

import base64
import gzip
import json

import numpy as np
import pytest

from nnunetv2_strokesynth.reporting import viewer
from nnunetv2_strokesynth.reporting.slice_image import crop
from nnunetv2_strokesynth.reporting.viewer import (
    Contour,
    Mark,
    Viewed,
    ViewedImage,
    reduction,
    viewer_json,
    voxels_above,
)

THRESHOLDS = np.arange(1, 100) / 100


def viewed(volume, *, window=(0.0, 1.0), colour_map="gray", **more):
    brain = np.ones(volume.shape, bool)
    image = ViewedImage("image", "</script><b>", "s", volume, window, colour_map)
    return Viewed([image], brain, (5.0, 0.8, 0.4), True, 0, **more)


def decode(image, shape):
    planes = np.frombuffer(gzip.decompress(base64.b64decode(image["data"])), np.uint8)
    low, high = np.split(planes.astype(int), 2)
    return (image["lowest"] + image["step"] * (low + 256 * high)).reshape(shape)


def test_voxels_above_each_threshold_are_numpy_s():
    volume = np.random.default_rng(0).uniform(size=(3, 9, 7)).astype(np.float32)
    volume[0, 0, :3] = np.float32(0.3), 0.5, 1.0  # a voxel on a threshold does not lie above it
    counts = voxels_above(ViewedImage("image", "", "", volume, (0, 1)), THRESHOLDS)
    for threshold, found in zip(THRESHOLDS, counts, strict=True):
        expected = (volume > np.float32(threshold)).sum(axis=(1, 2))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("top", [1.0, 60.0])
def test_values_come_back_to_a_step_of_the_window(top):
    volume = np.random.default_rng(0).uniform(-0.2, 3 * top, (2, 6, 5)).astype(np.float32)
    volume[0, 0, 0] = np.nan
    content = json.loads(viewer_json(viewed(volume, window=(0.0, top))))
    (image,) = content["images"]
    found = decode(image, volume.shape)
    assert image["step"] == pytest.approx(top / 500)
    assert (found[0, 0, 0] - image["lowest"]) / image["step"] == pytest.approx(image["nothing"])
    known = np.isfinite(volume)
    np.testing.assert_allclose(found[known], volume[known], atol=0.51 * image["step"])


def test_what_was_not_computed_lies_above_no_threshold():
    volume = np.full((1, 3, 3), np.nan, np.float32)
    volume[0, 0] = 0.0, 0.4, 0.9
    contour = Contour("image", "lesion", "", THRESHOLDS, 49, "#fff")
    content = json.loads(viewer_json(viewed(volume, contours=[contour])))
    assert [content["contours"][0]["voxels"][i] for i in (0, 49, 98)] == [[2], [1], [0]]


def test_air_does_not_cost_the_window_its_steps():
    volume = np.array([[[-3024.0, 0, 40, 80, 3071]]], np.float32)
    (image,) = json.loads(viewer_json(viewed(volume, window=(0.0, 80.0))))["images"]
    found = decode(image, volume.shape).ravel()
    np.testing.assert_allclose(found[1:], [0, 40, 80, 3071], atol=0.1)
    assert found[0] < -1000


def test_large_scans_are_shown_smaller_and_measured_in_full(monkeypatch):
    monkeypatch.setattr(viewer, "_MOST_VOXELS", 2 * 10 * 10)
    volume = np.zeros((2, 20, 20), np.float32)
    volume[1, 4:6, 6] = 0.9
    contour = Contour("image", "lesion", "", THRESHOLDS, 49, "#fff")
    mark = Mark("AIF", "#f00", "image", [(1, 4, 6)])
    made = viewed(volume, contours=[contour], marks=[mark])
    assert reduction(made) == 2
    content = json.loads(viewer_json(made))
    assert (content["height"], content["width"]) == (10, 10)
    assert content["pixel_mm"] == [0.8, 1.6]
    shown = decode(content["images"][0], (2, 10, 10))
    assert shown[1, 2, 3] == pytest.approx(0.45, abs=0.002)
    above_half = content["contours"][0]["voxels"][49]
    assert sum(above_half) * content["voxel_ml"] == pytest.approx(2 * 5 * 0.8 * 0.4 / 1000)
    assert content["marks"][0]["voxels"] == [[1, 2.25, 3.25]]


def test_the_brain_and_a_margin_are_shown():
    brain = np.zeros((1, 100, 100), bool)
    brain[0, 40:60, 30:50] = True
    assert crop(brain, 0.12) == (slice(38, 62), slice(28, 52))
    assert crop(np.zeros((1, 4, 5), bool), 0.12) == (slice(0, 4), slice(0, 5))


def test_no_name_ends_the_script():
    assert "<" not in viewer_json(viewed(np.zeros((1, 3, 3), np.float32)))


def test_turbo_begins_with_its_own_colour():
    content = json.loads(viewer_json(viewed(np.ones((1, 3, 3), np.float32), colour_map="turbo")))
    table = base64.b64decode(content["colours"]["turbo"])
    assert len(table) == 3 * 256 and tuple(table[:3]) == (48, 18, 59)
