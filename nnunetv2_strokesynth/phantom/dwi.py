"""The DWI, which knows more than the lesion that a rater outlines on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.acquisition import move_slices, mr_image
from nnunetv2_strokesynth.phantom.anatomy import Head, SlabGrid
from nnunetv2_strokesynth.phantom.diffusion import Oedema, mobility_loss, signal_gain
from nnunetv2_strokesynth.phantom.physics import DWIPhysics, Physics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.rater import (
    draw_outline,
    draw_rater,
    leave_out_spots,
    visible_lesion,
)
from nnunetv2_strokesynth.phantom.tissue import Brain, Tissue

# Where air lies near the brain: MNI mm on the right side, and the reach of its artefact in mm. The
# ethmoid and frontal sinuses, the sphenoid sinus, the mastoid cells.
_AIR_MM = (
    ((8.0, 42.0, -22.0), 13.0),
    ((4.0, 62.0, 0.0), 8.0),
    ((8.0, 14.0, -24.0), 9.0),
    ((52.0, -20.0, -32.0), 14.0),
    ((48.0, -46.0, -34.0), 12.0),
)


class FollowUp(NamedTuple):
    """The MRI of a scan, in its own slightly different position. (Z, Y, X) each.

    Attributes:
        dwi: float32, arbitrary units.
        lesion: bool, the rater's outline.
    """

    dwi: np.ndarray
    lesion: np.ndarray


def air_artefact(points_mm: np.ndarray) -> np.ndarray:
    """How near air is, (N,): about 1 beside it, 0 from a few centimetres on."""
    x, y, z = np.abs(points_mm[0]), points_mm[1], points_mm[2]
    near = np.zeros(points_mm.shape[1])
    for (cx, cy, cz), reach_mm in _AIR_MM:
        square = ((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / reach_mm**2
        near = np.maximum(near, np.exp(-0.5 * square))
    return near


def healthy_signal(fields: dict[str, np.ndarray], physics: DWIPhysics) -> np.ndarray:
    """Noise-free DWI of the tissues alone, (Z, Y, X), arbitrary units.

    Args:
        fields: (Z, Y, X) each: the fractions ``gm``, ``wm`` and ``csf``; ``scalp`` (0 or 1);
            ``bias``, the coil's relative sensitivity.
        physics: the tissues' signals.
    """
    signal = physics.gm_signal * fields["gm"] + physics.wm_signal * fields["wm"]
    signal = signal + physics.csf_signal * fields["csf"] + physics.scalp_signal * fields["scalp"]
    return signal * fields["bias"]


def dwi_signal(
    rng: np.random.Generator, fields: dict[str, np.ndarray], pixel_mm: float, physics: DWIPhysics
) -> np.ndarray:
    """A diffusion-weighted image, (Z, Y, X) float32, arbitrary units.

    Args:
        rng: the scan's generator.
        fields: (Z, Y, X) each: those of ``healthy_signal``; ``gain``, the relative signal that
            ischaemic tissue gains; ``shine``, one that is no lesion; ``artefact``, one from air
            nearby, over -1.
        pixel_mm: in-plane voxel size.
        physics: the tissues' signals and the noise.
    """
    signal = healthy_signal(fields, physics) * (1 + fields["gain"] + fields["shine"])
    signal = _share_slices(signal * (1 + fields["artefact"]), physics.slice_leak)
    return mr_image(rng, signal, sd=physics.noise_sd, pixel_mm=pixel_mm)


def _share_slices(signal: np.ndarray, leak: float) -> np.ndarray:
    """Slices whose profiles overlap: each neighbour's signal has the weight ``leak``."""
    padded = np.concatenate([signal[:1], signal, signal[-1:]])
    return (1 - 2 * leak) * signal + leak * (padded[:-2] + padded[2:])


def _signal_fields(
    rng: np.random.Generator,
    head: Head,
    brain: Brain,
    tissue: Tissue,
    *,
    oedema: Oedema,
    physics: Physics,
) -> dict[str, np.ndarray]:
    """What ``dwi_signal`` reads, and ``loss``, in the CT's position."""
    points, mri, dwi = brain.points_mm, physics.mri, physics.dwi
    loss = mobility_loss(oedema, tissue.damage, points, physics.diffusion)
    b_adc = 1e-6 * mri.b_value_s_per_mm2 * (mri.gm_adc * brain.gm + mri.wm_adc * brain.wm)
    bright = np.clip(draw_random_field(rng, 7.0)(points) - 1.0, 0, 2)
    bias = np.exp(dwi.bias_sd * draw_random_field(rng, 50.0)(points))
    pile_up = rng.uniform(*dwi.artefact_range) * draw_random_field(rng, 6.0)(points)
    artefact = np.maximum(pile_up * air_artefact(points), -0.9)
    return {
        "gm": head.gm,
        "wm": head.wm,
        "csf": head.csf,
        "scalp": (head.hu > -300) & ~brain.where,
        "gain": brain.volume(signal_gain(oedema, tissue.damage, loss, b_adc=b_adc)),
        "loss": brain.volume(loss),
        "shine": brain.volume(tissue.shine + dwi.shine * bright),
        "artefact": brain.volume(artefact),
        "bias": np.where(brain.where, brain.volume(bias), 1.0),
    }


def dwi_and_lesion(
    rng: np.random.Generator,
    head: Head,
    brain: Brain,
    tissue: Tissue,
    *,
    oedema: Oedema,
    grid: SlabGrid,
    physics: Physics,
) -> FollowUp:
    """The DWI and the rater's lesion on it, both in the MRI's slightly different position.

    A patient whose tissue was spared has no lesion; any other scan has one, as in the releases.
    """
    pixel_mm = grid.pixel_mm
    fields = _signal_fields(rng, head, brain, tissue, oedema=oedema, physics=physics)
    offset = rng.normal(0, physics.dwi.offset_sd)
    moved = {
        name: move_slices(values.astype(np.float32), offset, pixel_mm)
        for name, values in fields.items()
    }
    dwi = dwi_signal(rng, moved, pixel_mm, physics.dwi)
    rater = draw_rater(rng, physics.rater)
    if tissue.spared:
        return FollowUp(dwi, np.zeros(dwi.shape, bool))
    healthy = np.maximum(healthy_signal(moved, physics.dwi), 0.3 * physics.dwi.wm_signal)
    solid = moved["gm"] + moved["wm"] > 0.25
    contrast = np.where(solid, dwi / healthy - 1, 0)
    loss = np.where(solid, moved["loss"], 0)
    outline = draw_outline(
        visible_lesion(contrast, loss, rater.cut, physics.rater),
        brain.volume(rater.outwards_mm(brain.points_mm, physics.rater)),
        solid,
        pixel_mm=pixel_mm,
    )
    return FollowUp(
        dwi, leave_out_spots(outline, rater.misses, pixel_mm=pixel_mm, physics=physics.rater)
    )
