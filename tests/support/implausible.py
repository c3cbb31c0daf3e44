"""One head's images, and every kind of fault that their values may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from orders import TILTED, save_in_order

TIMES, SHARES = ("MTT", "Tmax"), ("CBF", "CBV")
MAPS = ("CBF", "CBV", "MTT", "Tmax")
Images = dict[str, np.ndarray]


class Fault(NamedTuple):
    """A fault: ``spoil`` changes the images in place; ``voxels`` is a factor of the voxel sizes.

    ``named`` is what the sentence must begin with, ``said`` a part of it, and ``refused`` whether
    the image must not be used.
    """

    named: str
    said: str
    refused: bool
    spoil: Callable[[Images], None] = lambda images: None
    voxels: float = 1.0

    @property
    def concerns_series(self) -> bool:
        return self.named in ("4DPWI", "brain mask")


def _change(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Images], None]:
    def spoil(images: Images) -> None:
        images[name] = change(images[name]).astype(np.float32)

    return spoil


def _inside(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda volume: np.where(volume != 0, change(volume), 0)


def _grey(volume: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(volume / np.percentile(volume, 99.9), 0, 1))


def _window(volume: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(volume / 80, 0, 1))


def _unit(volume: np.ndarray) -> np.ndarray:
    return np.clip(volume / volume.max(), 0, 1)


def _without_contrast(series: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(4).normal(0, 2, series.shape)
    return series[:1] + noise


def _faults() -> dict[str, Fault]:
    found = {}
    for name in TIMES:
        found[f"{name} in ms"] = Fault(
            name, "divide it by 1000", True, _change(name, lambda v: 1000 * v)
        )
        found[f"{name} as a picture"] = Fault(
            name, "whole numbers that end at 255", True, _change(name, _grey)
        )
        found[f"{name} far outside"] = Fault(name, "a median of", False, _change(name, _times_8))
    for name in SHARES:
        found[f"{name} as a picture"] = Fault(name, "grey values", False, _change(name, _grey))
        found[f"{name} from 0 to 1"] = Fault(name, "scaled to 0 to 1", False, _change(name, _unit))
    found["MTT from 0 to 1"] = Fault("MTT", "scaled to 0 to 1", True, _change("MTT", _unit))
    found["Tmax from 0 to 1"] = Fault("Tmax", "scaled to 0 to 1", False, _change("Tmax", _unit))
    for name in MAPS:
        constant, below = _inside(np.ones_like), _inside(lambda v: v - 1024)
        found[f"{name} constant"] = Fault(name, "1 everywhere", True, _change(name, constant))
        found[f"{name} empty"] = Fault(name, "0 everywhere", True, _change(name, np.zeros_like))
        found[f"{name} with an offset"] = Fault(
            name, "100% of the brain", True, _change(name, below)
        )
    for name in ("CT", "4DPWI"):
        found |= {
            f"{name} with an offset": Fault(
                name, "subtract 1024", True, _change(name, lambda v: v + 1024)
            ),
            f"{name} as a picture": Fault(name, "grey values", True, _change(name, _window)),
            f"{name} from 0 to 1": Fault(name, "is it scaled", True, _change(name, _unit)),
        }
    found |= {
        "CT too dense": Fault("CT", "a median of 10 to 70", False, _change("CT", _doubled)),
        "two frames": Fault("4DPWI", "2 frames", True, _change("4DPWI", lambda v: v[8:20:11])),
        "no contrast": Fault("4DPWI", "rises and falls", True, _change("4DPWI", _without_contrast)),
        "a brain too small": Fault(
            "brain mask", "is most of the brain missing?", False, voxels=0.3
        ),
        "a brain too large": Fault("brain mask", "taken as brain?", False, voxels=3.0),
    }
    return found


def _times_8(volume: np.ndarray) -> np.ndarray:
    return 8 * volume


def _doubled(volume: np.ndarray) -> np.ndarray:
    return np.where(volume > 0, 3 * volume, volume)


FAULTS = _faults()


def write_images(folder, images: Images, voxels: float = 1.0):
    """The images as NIfTI files; returns modality -> path."""
    affine = TILTED @ np.diag([voxels, voxels, 1, 1])
    return {
        name: save_in_order(folder / f"{name}.nii", image, affine=affine)
        for name, image in images.items()
    }
