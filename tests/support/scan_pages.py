"""A scan with a prediction that is known, and its pages."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps, compute_maps
from nnunetv2_strokesynth.ctp.input_channels import CtpChannels, CtpImages
from nnunetv2_strokesynth.ctp.perfusion_window import PerfusionWindow
from nnunetv2_strokesynth.inference.patient import Prediction, Prepared
from nnunetv2_strokesynth.inference.study import Study
from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.io.placement import Grid, reference_of

HOSTILE_TITLE = "<img src=x onerror=alert(1)>/case & 7"
WARNING, NOTE = "something <is> doubtful", "the maps were computed"


class Scene(NamedTuple):
    """A scan, its maps and a prediction; ``lesion`` is what lies above a probability of 0.5."""

    series: np.ndarray
    times_s: np.ndarray
    spacing_zyx_mm: tuple[float, float, float]
    computed: ComputedMaps
    probability: np.ndarray

    @property
    def lesion(self) -> np.ndarray:
        return self.probability > 0.5

    @property
    def study(self) -> Study:
        grid = Grid(self.probability.shape, Geometry(self.spacing_zyx_mm), True)
        reference = reference_of("series", grid)
        source, series = Path("ctp.nii.gz"), self.series
        return Study(source, series, "ctp", reference, self.times_s, {}, [], series)

    @property
    def prepared(self) -> Prepared:
        computed = self.computed
        maps = np.stack(computed.maps)
        images = CtpImages(computed.baseline_hu, maps, self.series, "ctp", self.spacing_zyx_mm)
        curve = self.series.sum(axis=(1, 2, 3))
        window = PerfusionWindow(5, 30, "test")
        made = CtpChannels(list(maps), computed.brain, curve, window, {}, [])
        return Prepared(images, made, computed, [WARNING, NOTE], [WARNING])

    def page_of(self, probability: np.ndarray) -> str:
        """The page of a prediction with this probability."""
        from nnunetv2_strokesynth.reporting.scan_page import prediction_page

        lesion = probability > 0.5
        prediction = Prediction(lesion, probability, probability * 0.5 + 0.2)
        voxel_ml = float(np.prod(self.spacing_zyx_mm)) / 1000
        result = {"lesion_ml": lesion.sum() * voxel_ml, "brain_ml": 96.0}
        return prediction_page(
            HOSTILE_TITLE, self.study, self.prepared, prediction, model="a model", result=result
        )

    @property
    def prediction_html(self) -> str:
        return self.page_of(self.probability)

    def maps_html(self, *, sides_known: bool) -> str:
        from nnunetv2_strokesynth.reporting.scan_page import maps_page

        return maps_page(
            Path("ctp.nii.gz").name,
            self.computed,
            self.spacing_zyx_mm,
            sides_known=sides_known,
            result=self.computed.row,
        )


@pytest.fixture(scope="session")
def scene(make_head) -> Scene:
    """Three slices whose probability falls from the middle of the left half outwards."""
    head = make_head(noise_hu=1.0)
    series = np.concatenate([head.series, head.series[:, :1]], axis=1)
    spacing = (5.0, 2.5, 2.5)
    computed = compute_maps(series, spacing_zyx_mm=spacing, times_s=head.times_s)
    y, x = np.mgrid[:64, :64]
    away = np.hypot(y - 30, x - 42)
    noise = np.random.default_rng(0).uniform(0, 0.1, (3, 64, 64))
    heights = np.array([0.0, 0.85, 0.7])[:, None, None]
    probability = (heights * np.exp(-((away / 9) ** 2)) + noise * (heights > 0)).clip(0, 1)
    return Scene(series, head.times_s, spacing, computed, probability.astype(np.float32))
