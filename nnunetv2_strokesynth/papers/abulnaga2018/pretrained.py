"""Loads weights learned on natural images into the PSPNet's backbone; it never downloads them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import PSPNet

TORCHVISION = "torchvision"
HUB_FILE = "fcn_resnet50_coco-1167a1af.pth"
_PREFIX = "backbone."
_COUNTER = "num_batches_tracked"  # of a batch norm; older files lack it, and nothing reads it
_ADVICE = (
    "The weights are torchvision.models.segmentation.FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1: "
    "put that file there on a machine with a network connection, name a copy of it, or {unset}."
)


def weights_file(source: str) -> Path:
    """The file that a source of weights names.

    Args:
        source: a path, or ``torchvision`` for torchvision's file in PyTorch's local cache.
    """
    if source == TORCHVISION:
        return Path(torch.hub.get_dir()) / "checkpoints" / HUB_FILE
    return Path(source).expanduser()


def load_backbone(
    network: PSPNet, source: str, *, unset: str = "start from random weights"
) -> Path:
    """Replace the backbone's weights by learned ones; the other parts keep theirs.

    Source: Abulnaga & Rubin 2018, section 4.3. Departure: they load a whole PSPNet trained on
    Pascal VOC, which is not published. This is the ResNet-50 of torchvision's FCN, with the same
    dilations, trained on the part of COCO that has the labels of Pascal VOC.

    Args:
        network: changed in place.
        source: a path to a ``state_dict``, of torchvision's FCN-ResNet-50 or of a plain ResNet-50;
            or ``torchvision`` (see ``weights_file``).
        unset: says in error messages how to train without such weights.

    Returns:
        The file that was read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read, or a layer of the backbone is missing in it or has
            another shape.
    """
    path = weights_file(source)
    advice = _ADVICE.format(unset=unset)
    if not path.is_file():
        raise FileNotFoundError(f"No weights for the PSPNet's backbone at {path}. {advice}")
    stored = _backbone_of(_read(path, advice))
    own = network.backbone.state_dict()
    chosen = {}
    for name, value in own.items():
        found = stored.get(name, value if name.endswith(_COUNTER) else None)
        if not torch.is_tensor(found) or found.shape != value.shape:
            shape = tuple(found.shape) if torch.is_tensor(found) else "nothing"
            raise ValueError(
                f"{path} does not fit the PSPNet's backbone: expected {name} of shape "
                f"{tuple(value.shape)}, found {shape}. {advice}"
            )
        chosen[name] = found
    network.backbone.load_state_dict(chosen)
    return path


def _read(path: Path, advice: str) -> Mapping[str, torch.Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        kind = type(error).__name__  # PyTorch's own text advises to load without weights_only
        raise ValueError(f"{path} cannot be read as PyTorch weights ({kind}). {advice}") from error
    if not isinstance(weights, Mapping):
        raise ValueError(f"{path} holds a {type(weights).__name__}, not a state_dict. {advice}")
    return weights


def _backbone_of(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The entries under ``backbone.`` without that prefix, or all entries if there are none."""
    named = {str(name): value for name, value in weights.items()}
    inner = {k.removeprefix(_PREFIX): v for k, v in named.items() if k.startswith(_PREFIX)}
    return inner or named
