"""A trained network whose segmenter gets another image in place of the pseudo-DWI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from benchmarks.arena.data import brain_of
from nnunetv2_strokesynth.dataloading.targets import preprocess_target
from nnunetv2_strokesynth.evaluation.volumes import read_image, read_mask
from nnunetv2_strokesynth.inference.heads import SynthesisHead
from nnunetv2_strokesynth.inference.predictor import pseudo_dwi_record
from nnunetv2_strokesynth.inference.synthesis import revert_preprocessing
from nnunetv2_strokesynth.losses.synthesis import TISSUE
from nnunetv2_strokesynth.networks.channel_segmenter import select_channels
from nnunetv2_strokesynth.networks.strokesynth_net import StrokeSynthNet

OWN, OTHER, CONSTANT, REAL = "own", "another patient's", "brain's median", "real DWI"


class _Outputs(NamedTuple):
    """What nnU-Net's sliding window asks of a label manager: how many channels come out."""

    num_segmentation_heads: int


class SegmenterOnImage(nn.Module):
    """The segmenter of a trained network on a given image in place of the pseudo-DWI.

    The image is the last channel of the input, so that nnU-Net's tiles and mirrored passes take it
    along: (B, C + 1, Y, X) -> logits.
    """

    def __init__(self, network: StrokeSynthNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C + 1, Y, X) -> logits (B, classes, Y, X)."""
        inputs, indices = x[:, -1:], self.network.segmenter_indices
        if indices:
            inputs = torch.cat((select_channels(x, indices), inputs), dim=1)
        return self.network.segmenter(inputs)

    def load_state_dict(self, state_dict: dict, *args, **kwargs):
        """The trained network's: nnU-Net's predictor loads one fold after the other through it."""
        return self.network.load_state_dict(state_dict, *args, **kwargs)


class Scan(NamedTuple):
    """A held-out scan as nnU-Net has preprocessed it.

    Attributes:
        channels: ``(C, Z', Y', X')``.
        brain: bool ``(Z', Y', X')``.
        own: its pseudo-DWI, ``(Z', Y', X')``.
        dwi: its real DWI on the pseudo-DWI's scale, the same shape.
        lesion: the true one, bool, on the voxels of the label's file.
        lesion_here: the same on nnU-Net's voxels.
        spacing_mm: of ``lesion``.
        properties: nnU-Net's.
    """

    channels: np.ndarray
    brain: np.ndarray
    own: np.ndarray
    dwi: np.ndarray
    lesion: np.ndarray
    lesion_here: np.ndarray
    spacing_mm: tuple[float, ...]
    properties: dict


def onto_shape(volume: np.ndarray, shape: Sequence[int], fill: float = 0.0) -> np.ndarray:
    """A volume of another scan on a grid of another size, centred in the slice.

    Args:
        volume: ``(Z, Y, X)``.
        shape: the wanted one. Slices are taken at the same share of the scan's height.
        fill: for what the volume does not cover.
    """
    slices = (np.arange(shape[0]) * len(volume) / shape[0]).astype(int)
    found = np.full(shape, fill, dtype=volume.dtype)
    source, target = [], []
    for have, want in zip(volume.shape[1:], shape[1:], strict=True):
        size = min(have, want)
        source.append(slice((have - size) // 2, (have - size) // 2 + size))
        target.append(slice((want - size) // 2, (want - size) // 2 + size))
    found[(slice(None), *target)] = volume[slices][(slice(None), *source)]
    return found


def follows(before: np.ndarray, after: np.ndarray, shown: np.ndarray) -> float:
    """The share of voxels that go with the exchanged image where it matters.

    Args:
        before: bool, the prediction with the own image.
        after: bool, that with the exchanged one.
        shown: bool, the lesion that the exchanged image stands for.

    Returns:
        Among the voxels where ``before`` and ``shown`` differ, the share where ``after`` is as
        ``shown``; NaN where they never differ.
    """
    differing = before != shown
    return float((after == shown)[differing].mean()) if differing.any() else float("nan")


class Exchange:
    """A trained model whose pseudo-DWI can be exchanged.

    Args:
        predictor: of a network with a generator.
    """

    def __init__(self, predictor: nnUNetPredictor) -> None:
        if not isinstance(predictor.network, StrokeSynthNet):
            raise ValueError(f"{predictor.trainer_name} makes no pseudo-DWI to exchange")
        self.predictor = predictor
        self.scale = pseudo_dwi_record(predictor).scale
        self.network = predictor.network
        self.n_classes = predictor.label_manager.num_segmentation_heads

    def _apply(self, network: nn.Module, n_outputs: int, volume: np.ndarray) -> np.ndarray:
        self.predictor.network = network
        self.predictor.label_manager = _Outputs(n_outputs)
        inputs = torch.from_numpy(volume).float()
        return self.predictor.predict_logits_from_preprocessed_data(inputs).float().numpy()

    def read(
        self, files: Sequence[Path], label: Path, dwi: Path, maps: Sequence[Path] = ()
    ) -> Scan:
        """Read and preprocess a scan and make its pseudo-DWI."""
        plans, configuration = self.predictor.plans_manager, self.predictor.configuration_manager
        reader = plans.image_reader_writer_class()
        raw, properties = reader.read_images([str(path) for path in files])
        truth = read_mask(label)
        preprocessor = configuration.preprocessor_class(verbose=False)
        data, here, properties = preprocessor.run_case_npy(
            raw,
            truth.array[None].astype(np.int8),
            properties,
            plans,
            configuration,
            self.predictor.dataset_json,
        )
        brain = brain_of(maps) if maps else None
        target = preprocess_target(
            read_image(dwi).array, properties, plans, configuration, scale=self.scale, brain=brain
        )
        head = SynthesisHead(self.network)
        own = self._apply(head, len(head.outputs), data)[0]
        tissue = target[0] > TISSUE
        if brain is not None:  # it goes the target's way, on whose scale it stays 0 and 1
            mask = brain.astype(np.float32)
            tissue = preprocess_target(mask, properties, plans, configuration)[0] > 0.5
        return Scan(
            data, tissue, own, target[0], truth.array, here[0] > 0, truth.spacing_mm, properties
        )

    def predict(self, scan: Scan, image: np.ndarray) -> np.ndarray:
        """Logits ``(classes, Z', Y', X')`` with an image in place of the pseudo-DWI."""
        inputs = np.concatenate((scan.channels, image[None]))
        return self._apply(SegmenterOnImage(self.network), self.n_classes, inputs)

    def on_file(self, logits: np.ndarray, scan: Scan) -> np.ndarray:
        """The lesion on the voxels of the label's file: bool ``(Z, Y, X)``."""
        volume = revert_preprocessing(
            logits,
            scan.properties,
            self.predictor.plans_manager,
            self.predictor.configuration_manager,
        )
        return volume[1:].max(axis=0) > volume[0]


def exchanged_images(scan: Scan, other: Scan, lesion_of_other: np.ndarray) -> dict[str, tuple]:
    """What replaces the pseudo-DWI: name -> image and the lesion that it stands for."""
    shape = scan.own.shape
    level = np.median(scan.own[scan.brain]) if scan.brain.any() else 0.0
    return {
        OTHER: (onto_shape(other.own, shape), onto_shape(lesion_of_other, shape, False)),
        CONSTANT: (
            np.where(scan.brain, level, scan.own).astype(np.float32),
            np.zeros(shape, dtype=bool),
        ),
        REAL: (scan.dwi, scan.lesion_here),
    }
