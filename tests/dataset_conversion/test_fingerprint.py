"""``dataset_fingerprint.json``: equal to nnU-Net's own, exact, and never of other cases."""

import json
import os
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.dataset_conversion.fingerprint import (
    FINGERPRINT_FILE,
    MADE_FROM,
    NoForegroundError,
    renew_fingerprint,
)

NAME = "Dataset042_Small"
# Labelled voxels: none, very few, many; the last one lies in part where all images are 0.
LESIONS = {"case_a": 0, "case_b": 3, "case_c": 40, "case_d": 600, "case_e": 600}
CHANNELS = ("CT", "Tmax", "CTA_0")
SPACING_XYZ_MM = (0.9, 0.8, 5.25)


def _write(path, array, spacing=SPACING_XYZ_MM):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


class SmallSet:
    """A raw data set whose arrays are kept: ``images`` (C, Z, Y, X) and ``labels`` by case."""

    def __init__(self, root):
        self.root, self.raw = root, root / "nnUNet_raw" / NAME
        self.preprocessed = root / "nnUNet_preprocessed"
        self.path = self.preprocessed / NAME / FINGERPRINT_FILE
        self.images, self.labels = {}, {}
        for number, (case_id, size) in enumerate(LESIONS.items()):
            self._make(case_id, size, number)
        names = {str(k): name for k, name in enumerate(CHANNELS)}
        content = {"channel_names": names, "labels": {"background": 0, "lesion": 1}}
        content |= {"numTraining": len(LESIONS), "file_ending": ".nii.gz"}
        (self.raw / "dataset.json").write_text(json.dumps(content))

    def _make(self, case_id, size, number):
        rng = np.random.default_rng(number)
        shape = (3, 24 + number, 20)
        brain = np.zeros(shape, dtype=bool)
        brain[:, 3 : 20 + number, 4:17] = True
        offset = np.array([30, 4, -50])[:, None, None, None] * (1 + number)
        images = rng.normal(offset, 3 + number, (3, *shape))
        images = np.where(brain, images.round(2), 0).astype(np.float32)
        images[2, 0, 2, 10] = 1  # one channel alone makes the box larger
        inside = np.flatnonzero(brain)
        labels = np.zeros(shape, dtype=np.uint8)
        labels.flat[inside[rng.permutation(inside.size)[:size]]] = 1
        if case_id == "case_e":
            labels[:, :5, 4:17] = 1
        self.write(case_id, images, labels)

    def write(self, case_id, images, labels):
        self.images[case_id], self.labels[case_id] = images, labels
        for k, image in enumerate(images):
            _write(self.image(case_id, k), image)
        _write(self.label(case_id), labels)

    def image(self, case_id, channel):
        return self.raw / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz"

    def label(self, case_id):
        return self.raw / "labelsTr" / f"{case_id}.nii.gz"

    def renew(self):
        return renew_fingerprint(self.raw, self.preprocessed)

    @property
    def content(self):
        return json.loads(self.path.read_text())

    def values(self, channel):
        """The labelled voxels of each case inside the box of what is not 0."""
        found = []
        for case_id, images in self.images.items():
            box = tuple(
                slice(where.min(), where.max() + 1) for where in np.nonzero((images != 0).any(0))
            )
            values = images[channel][box][self.labels[case_id][box] > 0]
            found += [values] if values.size else []
        return found


@pytest.fixture
def small(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, str(tmp_path / name))
        (tmp_path / name).mkdir()
    return SmallSet(tmp_path)


@pytest.fixture
def nnunet_extractor(monkeypatch):
    """nnU-Net's own extractor, with threads for its processes, which take seconds to start."""
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
    from nnunetv2.utilities import utils

    monkeypatch.setattr(utils, "Pool", ThreadPool)
    threads = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    monkeypatch.setattr(fingerprint_extractor, "multiprocessing", threads)
    return fingerprint_extractor.DatasetFingerprintExtractor


def weighted_quantile(cases, share):
    """The smallest value at or below which lies a share of the weight, each case weighing 1."""
    values = np.concatenate(cases)
    weights = np.concatenate([np.full(case.size, 1 / case.size) for case in cases]) / len(cases)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return values[order][min(np.searchsorted(below, share), values.size - 1)]


def test_equal_to_nnunet_s_own_within_its_sampling_error(small, nnunet_extractor):
    own = nnunet_extractor(42, 2)
    n_draws = 40_000
    own.num_foreground_voxels_for_intensitystats = n_draws * len(LESIONS)
    own.run()
    theirs = small.content
    assert MADE_FROM not in theirs
    assert small.renew()  # what nnU-Net made of unknown cases is renewed
    ours = small.content
    for name in ("spacings", "shapes_after_crop", "median_relative_size_after_cropping"):
        assert ours[name] == theirs[name], name
    assert ours["shapes_after_crop"] != [list(small.labels[i].shape) for i in LESIONS]
    key = "foreground_intensity_properties_per_channel"
    assert set(ours) == {*theirs, MADE_FROM} and set(ours[key]) == set(theirs[key])
    for channel in range(len(CHANNELS)):
        _compare(ours[key][str(channel)], theirs[key][str(channel)], small.values(channel), n_draws)


def _compare(ours, theirs, cases, n_draws):
    """Five standard errors of what nnU-Net draws, or five of its shares for a percentile."""
    assert set(ours) == set(theirs)
    variances = np.array([case.astype(float).var() for case in cases])
    error = np.sqrt(variances.sum() / n_draws) / len(cases)
    assert abs(ours["mean"] - theirs["mean"]) < 5 * error
    assert ours["std"] == pytest.approx(theirs["std"], rel=0.01)
    assert (ours["min"], ours["max"]) == (theirs["min"], theirs["max"])
    for name, share in (("percentile_00_5", 0.005), ("median", 0.5), ("percentile_99_5", 0.995)):
        slack = 5 * np.sqrt(share * (1 - share) / (n_draws * len(cases)))
        low, high = (weighted_quantile(cases, share + sign * slack) for sign in (-1, 1))
        assert low <= theirs[name] <= high and low <= ours[name] <= high, name
    # Without equal weights the statistics would be others: the test can tell.
    pooled = np.concatenate(cases).astype(float)
    assert abs(pooled.mean() - theirs["mean"]) > 50 * error


def test_exact_against_numpy(small):
    assert small.renew()
    key = "foreground_intensity_properties_per_channel"
    for channel in range(len(CHANNELS)):
        found, cases = small.content[key][str(channel)], small.values(channel)
        weights = np.concatenate([np.full(c.size, 1 / c.size) for c in cases]) / len(cases)
        values = np.concatenate(cases).astype(np.float64)
        mean = np.sum(weights * values)
        assert found["mean"] == pytest.approx(mean, rel=1e-12)
        std = np.sqrt(np.sum(weights * (values - mean) ** 2))
        assert found["std"] == pytest.approx(std, rel=1e-12)
        assert (found["min"], found["max"]) == (values.min(), values.max())
        assert found["percentile_00_5"] == weighted_quantile(cases, 0.005)
        assert found["percentile_99_5"] == weighted_quantile(cases, 0.995)


def test_nnunet_plans_with_it_and_draws_nothing(small, nnunet_extractor, monkeypatch):
    from nnunetv2.experiment_planning.plan_and_preprocess_api import plan_experiments

    monkeypatch.setenv("nnUNet_n_proc_DA", "1")  # the planner sets as many threads
    small.renew()
    before = small.path.read_bytes()
    monkeypatch.setattr(nnunet_extractor, "analyze_case", None)
    assert nnunet_extractor(42, 1).run() == small.content
    plan_experiments([42])
    assert small.path.read_bytes() == before
    plans = json.loads((small.path.parent / "nnUNetPlans.json").read_text())
    key = "foreground_intensity_properties_per_channel"
    assert plans[key] == small.content[key]


def _touch(small):
    os.utime(small.label("case_c"), ns=(1, 1))


def _remove(small):
    small.label("case_b").unlink()
    for k in range(len(CHANNELS)):
        small.image("case_b", k).unlink()


def _add(small):
    small.write("case_f", small.images["case_d"] + 7, small.labels["case_d"])


def _another_lesion(small):
    small.write("case_c", small.images["case_c"], np.roll(small.labels["case_c"], 1, axis=1))


def _damage(small):
    small.path.write_text("{")


def _draw(small):
    small.path.write_text(json.dumps({"spacings": [], "shapes_after_crop": []}))


@pytest.mark.parametrize("change", [_touch, _remove, _add, _another_lesion, _damage, _draw])
def test_renewed_when_the_cases_or_the_file_change(small, change):
    assert small.renew()
    before = small.path.read_bytes()
    assert not small.renew() and small.path.read_bytes() == before
    change(small)
    assert small.renew() and not small.renew()
    assert small.content[MADE_FROM]["cases"] == len(list((small.raw / "labelsTr").iterdir()))
    assert len(small.content["spacings"]) == small.content[MADE_FROM]["cases"]


def test_a_moved_data_set_keeps_its_fingerprint(small, tmp_path):
    small.renew()
    moved = tmp_path / "elsewhere" / NAME
    moved.parent.mkdir()
    small.raw.rename(moved)
    assert not renew_fingerprint(moved, small.preprocessed)


def _no_label(small):
    small.label("case_d").unlink()


def _no_channel(small):
    small.image("case_d", 2).unlink()


def _other_shape(small):
    _write(small.image("case_d", 1), small.images["case_d"][1][:, :-1])


def _other_spacing(small):
    _write(small.image("case_d", 1), small.images["case_d"][1], (0.9, 0.9, 5.25))


def _not_a_number(small):
    """Read by nibabel: SimpleITK turns NaN in NIfTI into 0."""
    images = small.images["case_d"].copy()
    images[1, 0, 0, 0] = np.nan
    _write(small.image("case_d", 1), images[1])
    content = json.loads((small.raw / "dataset.json").read_text())
    content["overwrite_image_reader_writer"] = "NibabelIO"
    (small.raw / "dataset.json").write_text(json.dumps(content))


def _only_zeros(small):
    small.write("case_d", 0 * small.images["case_d"], small.labels["case_d"])


def _truncated(small):
    path = small.image("case_d", 1)
    path.write_bytes(path.read_bytes()[:200])


def _no_images(small):
    for path in (small.raw / "imagesTr").iterdir():
        path.unlink()


def _no_description(small):
    (small.raw / "dataset.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_no_label, FileNotFoundError, ["labelsTr/case_d.nii.gz is missing"]),
        (_no_channel, ValueError, ["case_d: ", "2 channels, dataset.json lists 3"]),
        (_other_shape, ValueError, ["case_d: case_d_0001.nii.gz has (3, 26, 20) voxels"]),
        (_other_spacing, ValueError, ["case_d: case_d_0001.nii.gz", "of [5.25, 0.9, 0.9] mm"]),
        (_not_a_number, ValueError, ["case_d: case_d_0001.nii.gz holds 1 voxels that are NaN"]),
        (_only_zeros, ValueError, ["case_d: its images hold nothing but zeros"]),
        (_truncated, ValueError, ["case_d: ", "case_d_0001.nii.gz cannot be read"]),
        (_no_images, ValueError, ["imagesTr holds no training cases"]),
        (_no_description, ValueError, ["dataset.json", "channel_names"]),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_written(small, spoil, error, words):
    spoil(small)
    with pytest.raises(error) as raised:
        small.renew()
    assert all(text in str(raised.value) for text in words), str(raised.value)
    assert not [path for path in small.preprocessed.rglob("*") if path.is_file()]


def test_no_lesion_at_all_cannot_be_planned(small):
    for case_id in LESIONS:
        small.write(case_id, small.images[case_id], 0 * small.labels[case_id])
    with pytest.raises(NoForegroundError, match="none of the 5 labels"):
        small.renew()
