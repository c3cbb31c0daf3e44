"""The DWI, and the lesion that a rater outlines on it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.acquisition import move_slices, mr_image
from nnunetv2_strokesynth.phantom.anatomy import Head, SlabGrid
from nnunetv2_strokesynth.phantom.physics import DWIPhysics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import sigmoid
from nnunetv2_strokesynth.phantom.tissue import Brain, Tissue

_IN_PLANE = np.pad(np.ones((1, 3, 3), bool), ((1, 1), (0, 0), (0, 0)))


def dwi_signal(
    rng: np.random.Generator, fields: dict[str, np.ndarray], pixel_mm: float, physics: DWIPhysics
) -> np.ndarray:
    """A diffusion-weighted image, (Z, Y, X) float32, arbitrary units.

    Args:
        rng: the scan's generator.
        fields: (Z, Y, X) each: the fractions ``gm``, ``wm`` and ``csf``; ``scalp`` (0 or 1);
            ``infarct`` (0 to 1) and ``infarct_gain``, its relative hyperintensity; ``shine``, a
            relative hyperintensity that is no lesion; ``bias``, the coil's relative sensitivity.
        pixel_mm: in-plane voxel size.
        physics: the tissues' signals and the noise.
    """
    signal = physics.gm_signal * fields["gm"] + physics.wm_signal * fields["wm"]
    signal = signal + physics.csf_signal * fields["csf"] + physics.scalp_signal * fields["scalp"]
    signal = signal * (1 + fields["infarct_gain"] * fields["infarct"] + fields["shine"])
    signal = signal * fields["bias"]
    return mr_image(rng, signal, sd=physics.noise_sd, pixel_mm=pixel_mm)


def draw_by_rater(
    visible: np.ndarray,
    outwards_mm: np.ndarray,
    tissue: np.ndarray,
    *,
    pixel_mm: float,
    speck_mm2: float,
) -> np.ndarray:
    """The lesion as a rater outlines it on the DWI, bool (Z, Y, X).

    Args:
        visible: infarct fraction on the DWI's grid, 0 to 1.
        outwards_mm: (Z, Y, X) smooth jitter of the outline.
        tissue: bool, where a lesion can be.
        pixel_mm: in-plane voxel size.
        speck_mm2: raters leave out what is smaller, unless there is nothing larger.
    """
    sigma = 1.0 / pixel_mm
    soft = ndimage.gaussian_filter(visible.astype(np.float32), (0, sigma, sigma)) > 0.5
    distance = np.zeros(visible.shape, np.float32)
    for k, plane in enumerate(soft):
        if plane.any():
            distance[k] = ndimage.distance_transform_edt(plane)
            distance[k] -= ndimage.distance_transform_edt(~plane)
        else:
            distance[k] = -1e3
    outline = (distance * pixel_mm + outwards_mm > 0) & tissue
    if not outline.any():
        outline = soft if soft.any() else visible > 0.5 * visible.max()
    labels, count = ndimage.label(outline, structure=_IN_PLANE)
    areas = ndimage.sum_labels(outline, labels, np.arange(1, count + 1)) * pixel_mm**2
    # A scan with nothing to outline would not be in the release.
    kept = areas >= min(speck_mm2, areas.max(initial=0))
    return np.isin(labels, 1 + np.flatnonzero(kept))


def _signal_fields(
    rng: np.random.Generator, head: Head, brain: Brain, tissue: Tissue, physics: DWIPhysics
) -> dict[str, np.ndarray]:
    """What ``dwi_signal`` reads, in the CT's position."""
    points = brain.points_mm
    gain = rng.uniform(*physics.infarct_gain_range)
    gain = gain * np.exp(physics.infarct_gain_sd * draw_random_field(rng, 8.0)(points))
    bright = np.clip(draw_random_field(rng, 7.0)(points) - 1.0, 0, 2)
    bias = np.exp(physics.bias_sd * draw_random_field(rng, 50.0)(points))
    return {
        "gm": head.gm,
        "wm": head.wm,
        "csf": head.csf,
        "scalp": (head.hu > -300) & ~brain.where,
        "infarct": brain.volume(sigmoid(tissue.damage / 0.03)),
        "infarct_gain": brain.volume(gain),
        "shine": brain.volume(tissue.shine + physics.shine * bright),
        "bias": np.where(brain.where, brain.volume(bias), 1.0),
    }


def dwi_and_lesion(
    rng: np.random.Generator,
    head: Head,
    brain: Brain,
    tissue: Tissue,
    *,
    grid: SlabGrid,
    physics: DWIPhysics,
) -> tuple[np.ndarray, np.ndarray]:
    """The DWI and the rater's lesion on it, both in the MRI's slightly different position."""
    fields = _signal_fields(rng, head, brain, tissue, physics)
    offset = rng.normal(0, physics.offset_sd)
    moved = {
        name: move_slices(values.astype(np.float32), offset, grid.pixel_mm)
        for name, values in fields.items()
    }
    dwi = dwi_signal(rng, moved, grid.pixel_mm, physics)
    outwards_mm = physics.outline_sd_mm * draw_random_field(rng, 7.0)(brain.points_mm)
    outwards_mm = outwards_mm + rng.normal(0, physics.rater_sd_mm)
    outline = draw_by_rater(
        moved["infarct"],
        brain.volume(outwards_mm),
        moved["gm"] + moved["wm"] > 0.25,
        pixel_mm=grid.pixel_mm,
        speck_mm2=physics.speck_mm2,
    )
    return dwi, outline
