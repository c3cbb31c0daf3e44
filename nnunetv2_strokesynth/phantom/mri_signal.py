"""What an MRI scanner shows of perfusion and diffusion, and what is computed back from it.

Perfusion: dynamic susceptibility contrast. Gadolinium of concentration C shortens T2*, so that the
signal falls to S(t) = S0 exp(-TE r C(t)); its logarithm gives C back. Diffusion: water that moves
loses signal, S_b = S0 exp(-b ADC), and two images give ADC back.
"""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.phantom.physics import MRIPhysics

_LEAST_SIGNAL = 0.01


def dsc_signal(
    baseline: np.ndarray, concentration_mmol_l: np.ndarray, physics: MRIPhysics
) -> np.ndarray:
    """Signal S = S0 exp(-TE r C) under contrast agent.

    Args:
        baseline: S0, arbitrary units.
        concentration_mmol_l: C in mM, of a shape that broadcasts with ``baseline``.
        physics: TE and r.
    """
    return baseline * np.exp(
        -physics.echo_time_s * physics.relaxivity_l_per_mmol_s * concentration_mmol_l
    )


def concentration_mmol_l(signal: np.ndarray, n_baseline: int, physics: MRIPhysics) -> np.ndarray:
    """Concentration C = -ln(S / S0) / (TE r) of a series.

    Args:
        signal: (T, ...), 0 or more.
        n_baseline: frames before the contrast arrives; S0 is their mean.
        physics: TE and r.

    Returns:
        (T, ...) float32 in mM; 0 where S0 is 0. S counts as 1 % of S0 at least, which stands for
        the noise that a magnitude image never falls below.
    """
    baseline = signal[:n_baseline].mean(axis=0)
    seen = baseline > 0
    ratio = np.divide(signal, baseline, out=np.ones_like(signal), where=seen)
    rate = -np.log(np.maximum(ratio, _LEAST_SIGNAL))
    return (rate / (physics.echo_time_s * physics.relaxivity_l_per_mmol_s)).astype(np.float32)


def diffusion_signal(
    fractions: tuple[np.ndarray, ...],
    adc: tuple[np.ndarray | float, ...],
    b: float,
    physics: MRIPhysics,
) -> np.ndarray:
    """Signal of a voxel with several tissues, the sum of f S0 exp(-b ADC) over them.

    Args:
        fractions: of grey matter, white matter and CSF, each (Z, Y, X).
        adc: of the same, 1e-6 mm2/s.
        b: diffusion weighting, s/mm2.
        physics: the tissues' signals S0.
    """
    signals = (physics.gm_signal, physics.wm_signal, physics.csf_signal)
    return sum(
        part * signal * np.exp(-b * 1e-6 * value)
        for part, signal, value in zip(fractions, signals, adc, strict=True)
    )


def adc_map(unweighted: np.ndarray, weighted: np.ndarray, b: float) -> np.ndarray:
    """Apparent diffusion coefficient ADC = ln(S_0 / S_b) / b of two images.

    Args:
        unweighted: S_0, b = 0.
        weighted: S_b, of the same shape.
        b: s/mm2.

    Returns:
        float32 in 1e-6 mm2/s, 0 or more; 0 where one of the images is 0.
    """
    seen = (unweighted > 0) & (weighted > 0)
    ratio = np.divide(unweighted, weighted, out=np.ones_like(unweighted), where=seen)
    return np.maximum(1e6 * np.log(ratio) / b, 0).astype(np.float32)
