"""Small volumes on disk, shared by the tests of the evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

SPACING_MM = (6.0, 0.9, 1.1)


@pytest.fixture
def write_volume() -> Callable[..., Path]:
    """Write ``(Z, Y, X)`` as NIfTI; ``spacing_mm`` is (z, y, x)."""

    def write(array, path, *, spacing_mm=SPACING_MM, origin=(0, 0, 0), direction=None) -> Path:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = sitk.GetImageFromArray(np.asarray(array))
        image.SetSpacing(spacing_mm[::-1])
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(direction)
        sitk.WriteImage(image, str(path))
        return path

    return write


@pytest.fixture
def blobs() -> Callable[..., np.ndarray]:
    """Smooth random numbers between 0 and 1, ``(Z, Y, X)``; above 0.5 they form blobs."""

    def make(seed: int, shape=(4, 20, 24), sigma: float = 2.0) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(size=shape)
        smooth = ndimage.gaussian_filter(noise, (0, sigma, sigma))
        return 1 / (1 + np.exp(-3 * (smooth / smooth.std() - 1)))

    return make


@pytest.fixture
def real_figures() -> None:
    """Ask for this to have a command's pictures rendered."""


@pytest.fixture
def quick_figures(request, monkeypatch) -> None:
    """Figures are built but not rendered, which takes most of a command's time."""
    if "real_figures" not in request.fixturenames:
        from nnunetv2_strokesynth.io import figure_file

        monkeypatch.setattr(figure_file, "save_png", lambda figure, path, **_: Path(path).touch())
