"""The phantom's physics: every number of it changes something, and changes are written down."""

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache

import numpy as np
import pytest

from nnunetv2_strokesynth.phantom.acquisition import draw_motion
from nnunetv2_strokesynth.phantom.anatomy import SlabGrid, build_head, draw_head_shape
from nnunetv2_strokesynth.phantom.case import simulate_case
from nnunetv2_strokesynth.phantom.dataset import changed_parameters, write_phantom
from nnunetv2_strokesynth.phantom.hemodynamics import draw_bolus, unit_flow_curves
from nnunetv2_strokesynth.phantom.isles2024_layout import simulate_followed_case
from nnunetv2_strokesynth.phantom.mri_case import simulate_mri_case
from nnunetv2_strokesynth.phantom.patient import Patient, draw_patient, draw_stroke, draw_volume_ml
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS, Physics
from nnunetv2_strokesynth.phantom.plan import PhantomSettings
from nnunetv2_strokesynth.phantom.rater import draw_rater, leave_out_spots
from nnunetv2_strokesynth.phantom.timetable import even_timetable
from nnunetv2_strokesynth.phantom.tissue import TissueState, apply_deficit

pytest.importorskip("nilearn")
NUMBER = int | float
Path = tuple[str | int, ...]
SETTINGS = PhantomSettings(size=32, seed=5, max_slices=1)
NOISY = replace(DEFAULT_PHYSICS, ct=replace(DEFAULT_PHYSICS.ct, ctp_noise_hu_mm=14.0))
# Some changes show on coarse pixels or in few patients only where they are large.
LARGE_CHANGES = {
    "stroke.least_ml": 20.0,
    "stroke.aca_share": 0.5,
    "stroke.pca_share": 0.5,
    "rater.speck_mm2": 5.0,
    "rater.small_spot_mm2": 40.0,
    "ct.kernel_sigma_mm": 8.0,
    "ct_maps.svd_threshold": 0.4,
    "diffusion.most_loss": 0.2,
    "mri_maps.svd_threshold": 0.4,
    "rater.least_loss_share": 0.9,
    "rater.outline_sd_mm": 8.0,
    "stroke.old_probability": 0.5,
    "stroke.stenosis_probability": 0.6,
    "follow_up.shrinkage_share": 0.4,
    "study.shrinkage_share": 0.4,
    "study.volume_groups_ml.0.0": 0.9,
}


def numbers(value: object, path: Path = ()) -> Iterator[Path]:
    """Where the numbers of nested dataclasses and tuples are: ("ct", "drift_sd", 2)."""
    if is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, tuple):
        for index, member in enumerate(value):
            yield from numbers(member, (*path, index))
    else:
        assert isinstance(value, NUMBER), (path, value)
        yield path


def changed(value: object, path: Path, number: float | None) -> object:
    """The same with another number at ``path``: the given one, or one that is 5 % larger."""
    if not path:
        return number if number is not None else 1.05 * value if value else 0.01
    first, *others = path
    if isinstance(value, tuple):
        members = list(value)
        members[first] = changed(members[first], tuple(others), number)
        return tuple(members)
    return replace(value, **{first: changed(getattr(value, first), tuple(others), number)})


def arrays(value: object) -> Iterator[np.ndarray]:
    """All numbers in nested tuples, field by field."""
    if isinstance(value, (tuple, list)):
        for member in value:
            yield from arrays(member)
    elif not isinstance(value, str):
        yield np.asarray(value)


def same(first: object, second: object) -> bool:
    ours, theirs = list(arrays(first)), list(arrays(second))
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


@lru_cache
def patient() -> Patient:
    """One whose stroke has a part of everything, imaged in one coarse slice."""
    rng = np.random.default_rng(3)
    slab = SlabGrid(size=32, pixel_mm=7.4, n_slices=1, slice_mm=10.0, bottom_mm=16.0)
    drawn = draw_patient(rng, (slab,), DEFAULT_PHYSICS)
    stroke = drawn.stroke._replace(
        old=drawn.stroke.old or (drawn.stroke.deficit._replace(radii_mm=np.full(3, 9.0)),),
        leukoaraiosis=0.6,
        reperfusion=0.3,
        stenosis_delay_s=2.0,
    )
    return drawn._replace(stroke=stroke)


def strokes(physics: Physics) -> list:
    """Numbers of many patients' strokes and their lesions' volumes."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-60, 60, (3, 500))
    found = []
    for _ in range(150):
        stroke = draw_stroke(rng, points, points, physics)
        found += [value for value in stroke if isinstance(value, float)]
        found += [stroke.deficit.centre_mm, stroke.deficit.softness]
        found += [draw_volume_ml(rng, physics.study), stroke.growth, stroke.spared]
        found += [blob.radii_mm for blob in (*stroke.emboli, *stroke.old)]
        found += [(level, blob.radii_mm) for blob, level in stroke.benign]
    return found


def followed_strokes(physics: Physics) -> list:
    return strokes(replace(physics, study=physics.follow_up))


def spots(physics: Physics) -> list:
    """What raters leave of two spots, the smaller one of 3 x 3 or 7 x 7 pixels of 1 mm."""
    left = []
    for side in (3, 7):
        outline = np.zeros((1, 40, 40), bool)
        outline[0, :20, :20] = outline[0, 25 : 25 + side, 25 : 25 + side] = True
        for seed in range(40):
            misses = np.random.default_rng(seed)
            left.append(leave_out_spots(outline, misses, pixel_mm=1.0, physics=physics.rater))
    return left


def raters(physics: Physics) -> list:
    rng = np.random.default_rng(0)
    drawn = [draw_rater(rng, physics.rater) for _ in range(5)]
    return [(rater.cut, rater.generosity_mm) for rater in drawn]


def small_lesions(physics: Physics) -> list:
    """Scales of strokes in two slabs, one of which hardly has a lesion."""
    low = SlabGrid(size=32, pixel_mm=7.4, n_slices=2, slice_mm=10.0, bottom_mm=0.0)
    slabs = (low, low._replace(bottom_mm=20.0))
    return [draw_patient(np.random.default_rng(seed), slabs, physics).scale for seed in range(6)]


def deficit(physics: Physics) -> TissueState:
    ones = np.ones(21)
    return apply_deficit(TissueState(ones, ones, ones), np.linspace(0, 1, 21), 9.0, physics.stroke)


def boluses(physics: Physics) -> list:
    rng = np.random.default_rng(1)
    return [draw_bolus(rng, physics.bolus) for _ in range(2000)]


def transport(physics: Physics) -> np.ndarray:
    bolus = draw_bolus(np.random.default_rng(0), DEFAULT_PHYSICS.bolus)
    return unit_flow_curves(bolus, np.arange(12.0), physics.bolus.dispersion_per_delay)


def motions(physics: Physics) -> list:
    rng = np.random.default_rng(0)
    return [draw_motion(rng, 12, physics.ct) for _ in range(200)]


def head(physics: Physics) -> np.ndarray:
    shape, slab = draw_head_shape(np.random.default_rng(0)), patient().slabs[0]
    return build_head(slab._replace(size=96, pixel_mm=2.5), shape, physics.densities).hu


def simulated(simulate: Callable) -> Callable[[Physics], object]:
    def scan(physics: Physics) -> object:
        return simulate(
            patient(), 0, np.random.default_rng(4), timetable=even_timetable(43), physics=physics
        )

    return scan


# What a group's numbers can change, the cheapest first.
STAGES: dict[str, tuple[Callable[[Physics], object], ...]] = {
    "densities": (head,),
    "tissue": (simulated(simulate_case),),
    "stroke": (strokes, deficit, simulated(simulate_case), small_lesions),
    "study": (strokes, simulated(simulate_case)),
    "follow_up": (followed_strokes,),
    "bolus": (boluses, transport),
    "ct": (motions, simulated(simulate_case)),
    "ct_maps": (simulated(simulate_case),),
    "diffusion": (simulated(simulate_case),),
    "dwi": (simulated(simulate_case),),
    "rater": (spots, raters, simulated(simulate_case)),
    "mri": (simulated(simulate_mri_case), simulated(simulate_followed_case)),
    "mri_maps": (simulated(simulate_mri_case),),
}
DEFAULTS = lru_cache(lambda stage: stage(DEFAULT_PHYSICS))


@pytest.mark.parametrize(
    "path", numbers(DEFAULT_PHYSICS), ids=lambda path: ".".join(map(str, path))
)
def test_every_number_matters(path):
    other = changed(DEFAULT_PHYSICS, path, LARGE_CHANGES.get(".".join(map(str, path))))
    assert other != DEFAULT_PHYSICS
    assert any(not same(DEFAULTS(stage), stage(other)) for stage in STAGES[path[0]])


def test_the_record_names_what_is_not_the_default(tmp_path):
    write_phantom(tmp_path / "default", 1, 0, SETTINGS)
    write_phantom(tmp_path / "noisy", 1, 0, SETTINGS, physics=NOISY)
    default, noisy = (
        json.loads((tmp_path / name / "phantom.json").read_text())["settings"]
        for name in ("default", "noisy")
    )
    assert "physics" not in default
    assert noisy == default | {"physics": {"ct.ctp_noise_hu_mm": 14.0}}


def test_a_phantom_of_other_physics_is_refused(tmp_path):
    ranges = replace(DEFAULT_PHYSICS.stroke, depth_range=(0.5, 0.9))
    weak = replace(DEFAULT_PHYSICS, stroke=ranges)
    write_phantom(tmp_path, 1, 0, SETTINGS, physics=weak)
    write_phantom(tmp_path, 2, 0, SETTINGS, physics=weak)
    for physics in (DEFAULT_PHYSICS, NOISY):
        with pytest.raises(ValueError, match=r"physics is {'stroke.depth_range': \[0.5, 0.9\]}"):
            write_phantom(tmp_path, 2, 0, SETTINGS, physics=physics)
    write_phantom(tmp_path, 1, 0, SETTINGS, overwrite=True)
    with pytest.raises(ValueError, match="physics is the default, asked for .*--overwrite"):
        write_phantom(tmp_path, 1, 0, SETTINGS, physics=weak)


def test_worker_processes_simulate_the_same_physics(tmp_path):
    for workers in (1, 2):
        root = tmp_path / str(workers)
        write_phantom(root, 2, 0, SETTINGS, physics=NOISY, workers=workers)
    write_phantom(tmp_path / "default", 2, 0, SETTINGS)
    one, two, default = (
        [path.read_bytes() for path in sorted((tmp_path / name).rglob("*4DPWI*.nii"))]
        for name in ("1", "2", "default")
    )
    assert len(one) == 2 and one == two
    assert all(noisy != plain for noisy, plain in zip(two, default, strict=True))


def test_changed_parameters_are_named():
    assert changed_parameters(Physics()) == {}
    assert changed_parameters(NOISY) == {"ct.ctp_noise_hu_mm": 14.0}
