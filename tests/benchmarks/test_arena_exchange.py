"""The exchange of the pseudo-DWI, on networks and scans made for it."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.arena.exchange import measure, partners_of, table
from benchmarks.arena.exchanged_image import (
    CONSTANT,
    OTHER,
    OWN,
    REAL,
    Scan,
    SegmenterOnImage,
    follows,
    onto_shape,
)
from nnunetv2_strokesynth.networks.strokesynth_net import StrokeSynthNet

SHAPE = (3, 10, 12)


class Reader:
    """Stands for ``Exchange``: what it predicts is made by a function of channels and image."""

    def __init__(self, probability):
        self.probability = probability

    def predict(self, scan: Scan, image: np.ndarray) -> np.ndarray:
        lesion = self.probability(scan, image)
        return np.stack((1 - lesion, lesion)).astype(np.float32)

    def on_file(self, logits: np.ndarray, scan: Scan) -> np.ndarray:
        return logits[1] > logits[0]


def scan(at: int, *, missed: bool = False) -> Scan:
    """Its lesion is a cube at a place along x; the pseudo-DWI may miss it."""
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[1, 2:6, at : at + 3] = True
    shown = np.roll(lesion, 3, axis=1) if missed else lesion
    own, dwi = (np.where(mask, 0.9, 0.5).astype(np.float32) for mask in (shown, lesion))
    channels = shown[None].astype(np.float32)
    brain = np.ones(SHAPE, dtype=bool)
    return Scan(channels, brain, own, dwi, lesion, lesion, (1.0, 10.0, 10.0), {})


def by_image(reader: Reader, *scans: Scan):
    found = measure(reader, {f"case_{k}": each for k, each in enumerate(scans)}, {})
    assert len(table(found)) == 4
    return found.groupby("image")[["dice", "volume_ml", "follows"]].mean()


def test_a_segmenter_that_reads_the_image_alone_follows_it():
    reader = Reader(lambda scan, image: (image > 0.7).astype(float))
    found = by_image(reader, scan(0, missed=True), scan(6))
    assert (found.loc[[OTHER, CONSTANT, REAL], "follows"] == 100).all()
    assert found.loc[CONSTANT, "volume_ml"] == 0 and found.loc[CONSTANT, "dice"] == 0
    assert found.loc[REAL, "dice"] == 100 > found.loc[OWN, "dice"]
    assert found.loc[OTHER, "dice"] < found.loc[OWN, "dice"]


def test_a_segmenter_that_ignores_the_image_stays():
    reader = Reader(lambda scan, image: scan.channels[0])
    found = by_image(reader, scan(0, missed=True), scan(6))
    assert (found.loc[[OTHER, CONSTANT], "follows"] == 0).all()
    assert found["dice"].nunique() == 1 and found["volume_ml"].nunique() == 1


def test_another_patients_scan_is_never_one_s_own():
    patients = {"a": "1", "b": "1", "c": "2", "d": "3", "e": "3"}
    found = partners_of([*patients], patients)
    assert found == {"a": "c", "b": "c", "c": "d", "d": "a", "e": "a"}
    assert partners_of(["a", "c", "d"], {}) == {"a": "c", "c": "d", "d": "a"}
    with pytest.raises(ValueError, match="a: no scan of another patient among a, b"):
        partners_of(["a", "b"], patients)


def test_what_follows_is_counted_where_the_images_differ():
    before = np.array([True, True, False, False])
    shown = np.array([False, True, True, False])
    after = np.array([False, False, False, True])
    assert follows(before, after, shown) == 0.5
    assert np.isnan(follows(before, after, before))


@pytest.mark.parametrize("shape", [(2, 4, 4), (6, 8, 5), (3, 6, 6)])
def test_another_patients_image_keeps_its_middle(shape):
    volume = np.zeros((3, 6, 6), dtype=np.float32)
    volume[1, 2:4, 2:4] = 1
    found = onto_shape(volume, shape)
    assert found.shape == shape and found.dtype == volume.dtype
    rows, columns = np.argwhere(found.any(axis=0)).T
    assert abs(rows.mean() - (shape[1] - 1) / 2) <= 0.5
    assert abs(columns.mean() - (shape[2] - 1) / 2) <= 0.5
    assert set(np.unique(onto_shape(volume + 1, (3, 9, 9), fill=7.0))) == {1.0, 2.0, 7.0}


@pytest.mark.parametrize("channels", [(), (0, 2)])
def test_with_its_own_image_the_network_says_what_it_says(channels):
    torch.manual_seed(0)
    conv = [nn.Conv2d(n, out, 3, padding=1) for n, out in ((2, 1), (3, 1), (len(channels) + 1, 2))]
    network = StrokeSynthNet(
        *conv, None, frame_indices=(1, 2), generator_indices=(0, 1), segmenter_indices=channels
    )
    x = torch.randn(2, 3, 8, 8)
    own = network.synthesize(x)[0]
    exchanged = SegmenterOnImage(network)
    assert torch.equal(exchanged(torch.cat((x, own), dim=1)), network(x))
    assert not torch.equal(exchanged(torch.cat((x, own + 1), dim=1)), network(x))
