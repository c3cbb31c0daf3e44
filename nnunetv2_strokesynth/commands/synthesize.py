"""``strokesynth synthesize``: images that a network makes beside the lesion, as NIfTI.

The pseudo-DWI and the extractor's feature, or the uncertainty of a network that predicts with
dropout. nnU-Net's own predictor does the work (folds, sliding window, mirroring); only the
network's head differs. What comes out is brought back into the input's geometry by the inverse of
nnU-Net's preprocessing.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from nnunetv2.utilities.utils import create_lists_from_splitted_dataset_folder
from torch import nn
from tqdm import tqdm

from nnunetv2_strokesynth.dataloading.targets import spacings_mm
from nnunetv2_strokesynth.inference import (
    FEATURE_FOLDER,
    UNCERTAINTY_FOLDER,
)
from nnunetv2_strokesynth.io.image_file import (
    simpleitk_name,
    write_image,
)
from nnunetv2_strokesynth.nnunet_commands import (
    EXT_TRAINER,
    users_environment,
)

HELP = "write the pseudo-DWI (or the uncertainty) of scans in nnU-Net format"
EXAMPLE = (
    "strokesynth synthesize "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d "
    "-i $nnUNet_raw/Dataset018_ISLES2018/imagesTs -o pseudo_dwi"
)
logger = logging.getLogger(__name__)
# Image -> folder in the output folder.
FOLDERS = {"pseudo_dwi": "", "feature": FEATURE_FOLDER, "uncertainty": UNCERTAINTY_FOLDER}


class _Head(nn.Module):
    """A trained network that returns images in place of logits.

    Attributes:
        outputs: names of the images, keys of ``FOLDERS``, in the order of its channels.
    """

    outputs: tuple[str, ...]

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def load_state_dict(self, state_dict: dict, *args, **kwargs):
        """The wrapped network's: nnU-Net's predictor loads one fold after the other through it."""
        return self.network.load_state_dict(state_dict, *args, **kwargs)


class SynthesisHead(_Head):
    """A trained network seen as ``image (B, C, Y, X) -> pseudo-DWI and feature (B, 2, Y, X)``.

    A network without an extractor gives the pseudo-DWI alone, (B, 1, Y, X).
    """

    def __init__(self, network: nn.Module):
        super().__init__(network)
        has_feature = getattr(network, "extractor", None) is not None
        self.outputs = ("pseudo_dwi", "feature") if has_feature else ("pseudo_dwi",)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        heads = [head for head in self.network.synthesize(image) if head is not None]
        return torch.cat(heads, dim=1)


class UncertaintyHead(_Head):
    """A trained ``MonteCarloSegmenter`` seen as ``image (B, C, Y, X) -> uncertainty (B, 1, Y, X)``.

    The uncertainty is the standard deviation of the lesion's probability between the passes with
    dropout, 0 to 0.5; nnU-Net's predictor averages it over tiles (with equal weights) and folds.
    """

    outputs = ("uncertainty",)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        lesion = 1 - self.network.sample_probabilities(image)[:, :, :1]
        return lesion.std(dim=0, correction=0)


class _Heads(NamedTuple):
    """What nnU-Net's sliding window asks of a label manager: how many channels come out."""

    num_segmentation_heads: int


def load_predictor(
    model_folder: Path,
    *,
    folds: Sequence[str] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    device: torch.device | None = None,
    mirroring: bool = True,
    gaussian: bool = True,
) -> nnUNetPredictor:
    """nnU-Net's predictor with a trained model in it.

    Args:
        model_folder: ``<trainer>__<plans>__<configuration>``.
        folds: e.g. ``("0", "1")`` or ``("all",)``; None: all that have the checkpoint.
        mirroring: average over nnU-Net's mirrored passes, as ``nnUNetv2_predict`` does.
        gaussian: weight the middle of each tile more, as ``nnUNetv2_predict`` does.

    Raises:
        FileNotFoundError: no model folder, or a fold without the checkpoint.
    """
    for name in ("plans.json", "dataset.json"):
        if not (model_folder / name).is_file():
            raise FileNotFoundError(
                f"{model_folder} is no trained nnU-Net model: it has no {name}. Expected a folder "
                "like nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
            )
    if folds is None:
        folds = sorted(path.parent.name[5:] for path in model_folder.glob(f"fold_*/{checkpoint}"))
        if not folds:
            raise FileNotFoundError(f"no fold in {model_folder} has {checkpoint}")
    for fold in folds:
        if not (model_folder / f"fold_{fold}" / checkpoint).is_file():
            raise FileNotFoundError(f"{model_folder / f'fold_{fold}'} has no {checkpoint}")
    # An editable install does not tell nnU-Net where our trainers are.
    os.environ[EXT_TRAINER] = users_environment()[EXT_TRAINER]
    try:
        with redirect_stdout(io.StringIO()):  # nnU-Net tells of every folder it looks into
            predictor = nnUNetPredictor(
                use_gaussian=gaussian,
                use_mirroring=mirroring,
                device=device or torch.device("cuda"),
                allow_tqdm=False,
            )
            predictor.initialize_from_trained_model_folder(
                str(model_folder), tuple(folds), checkpoint
            )
    except RuntimeError as error:
        raise ValueError(f"{model_folder} cannot be loaded: {error}") from error
    return predictor


def learned_from_dwi(predictor: nnUNetPredictor) -> bool:
    """Whether what the network's generator gives looks like a DWI."""
    with redirect_stdout(io.StringIO()):
        trainer = recursive_find_trainer_class_by_name(predictor.trainer_name)
    has_generator = getattr(predictor.network, "generator", None) is not None
    return has_generator and getattr(trainer, "uses_dwi", False)


def build_predictor(
    model_folder: Path,
    *,
    folds: Sequence[str] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    device: torch.device | None = None,
    mirroring: bool = True,
    uncertainty: bool = False,
) -> nnUNetPredictor:
    """nnU-Net's predictor with another head in place of the segmentation.

    Args:
        model_folder, folds, checkpoint, device, mirroring: see ``load_predictor``.
        uncertainty: the uncertainty in place of the pseudo-DWI.

    Raises:
        FileNotFoundError: no model folder, or a fold without the checkpoint.
        ValueError: a trainer without a generator, such as nnU-Net's own; without dropout in
            prediction, for the uncertainty.
    """
    predictor = load_predictor(
        model_folder,
        folds=folds,
        checkpoint=checkpoint,
        device=device,
        mirroring=mirroring,
        # nnU-Net sums in half precision: small numbers times small weights would vanish.
        gaussian=not uncertainty,
    )
    attach_head(predictor, uncertainty=uncertainty)
    return predictor


def attach_head(predictor: nnUNetPredictor, *, uncertainty: bool = False) -> None:
    """Make a loaded predictor give images in place of the segmentation, see ``build_predictor``."""
    head = (_uncertainty_head if uncertainty else _synthesis_head)(predictor)
    predictor.label_manager = _Heads(len(head.outputs))
    predictor.network = head


def _synthesis_head(predictor: nnUNetPredictor) -> SynthesisHead:
    if not hasattr(predictor.network, "synthesize"):
        raise ValueError(
            f"{predictor.trainer_name} has no generator, so there is no pseudo-DWI to write; "
            "use a model trained with StrokeSynthTrainer"
        )
    return SynthesisHead(predictor.network)


def _uncertainty_head(predictor: nnUNetPredictor) -> UncertaintyHead:
    if getattr(predictor.network, "n_passes", 0) < 2:
        raise ValueError(
            f"{predictor.trainer_name} does not predict with dropout, so there is no uncertainty "
            "to write; use a model trained with Clerigues2019Trainer"
        )
    return UncertaintyHead(predictor.network)


def revert_preprocessing(
    volumes: np.ndarray | torch.Tensor,
    properties: dict,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
) -> np.ndarray:
    """From nnU-Net's preprocessed space back to the scan's own voxels.

    Args:
        volumes: ``(C, Z', Y', X')``.
        properties: what the preprocessor recorded for the case.

    Returns:
        float32 ``(C, Z, Y, X)``; voxels outside nnU-Net's crop are 0.
    """
    old_spacing, spacing = spacings_mm(properties, plans_manager, configuration_manager)
    cropped = configuration_manager.resampling_fn_probabilities(
        volumes, properties["shape_after_cropping_and_before_resampling"], spacing, old_spacing
    )
    full = np.zeros((len(cropped), *properties["shape_before_cropping"]), dtype=np.float32)
    box = tuple(slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    full[(slice(None), *box)] = np.asarray(cropped, dtype=np.float32)
    return full.transpose([0, *(axis + 1 for axis in plans_manager.transpose_backward)])


def synthesize_case(predictor: nnUNetPredictor, channel_files: Sequence[str]) -> np.ndarray:
    """The head's images of one scan, such as pseudo-DWI and feature: float32 ``(N, Z, Y, X)``."""
    reader = predictor.plans_manager.image_reader_writer_class()
    return synthesize_channels(predictor, *reader.read_images(list(channel_files)))


def synthesize_channels(
    predictor: nnUNetPredictor, channels: np.ndarray, properties: dict
) -> np.ndarray:
    """The same of channels ``(C, Z, Y, X)``; ``properties`` has at least their ``spacing``."""
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case_npy(
        channels, None, properties, plans, configuration, predictor.dataset_json
    )
    heads = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data))
    return revert_preprocessing(heads.float(), properties, plans, configuration)


def write_like(volume: np.ndarray, reference: sitk.Image, path: Path) -> None:
    """Write ``(Z, Y, X)`` with the geometry of ``reference``."""
    image = sitk.GetImageFromArray(volume)
    image.CopyInformation(reference)
    write_image(path, image, compressed=False)


def synthesize_folder(
    predictor: nnUNetPredictor,
    images: Path,
    output: Path,
    *,
    with_feature: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Every scan of a folder in nnU-Net format (``case_0000.nii.gz``, ...).

    Returns:
        The files of the head's first image, one per scan; existing ones are kept unless
        ``overwrite``.

    Raises:
        FileNotFoundError: no folder, or no scans in it.
        ValueError: a scan lacks channels, or the feature is wanted of a network without extractor.
    """
    outputs = predictor.network.outputs
    if with_feature and "feature" not in outputs:
        raise ValueError(
            f"{predictor.trainer_name} has no extractor, so there is no feature to write; "
            "leave out --feature"
        )
    ending = predictor.dataset_json["file_ending"]
    if not images.is_dir():
        raise FileNotFoundError(f"{images} is not a folder")
    scans = create_lists_from_splitted_dataset_folder(str(images), ending)
    if not scans:
        raise FileNotFoundError(f"{images} holds no scans named like case_0000{ending}")
    n_channels = len(predictor.dataset_json["channel_names"])
    wanted = [name for name in outputs if name != "feature" or with_feature]
    written = []
    for channel_files in tqdm(scans, desc=outputs[0].replace("_dwi", "-DWI"), unit="scan"):
        case_id = Path(channel_files[0]).name.removesuffix(ending)[:-5]
        if len(channel_files) != n_channels:
            raise ValueError(
                f"{case_id}: {images} holds {len(channel_files)} channels of it, the model reads "
                f"{n_channels}: {', '.join(predictor.dataset_json['channel_names'].values())}"
            )
        paths = {name: output / FOLDERS[name] / f"{case_id}{ending}" for name in wanted}
        written.append(paths[wanted[0]])
        if not overwrite and all(path.is_file() for path in paths.values()):
            continue
        channel_files = [simpleitk_name(name) for name in channel_files]
        volumes = dict(zip(outputs, synthesize_case(predictor, channel_files), strict=True))
        reference = sitk.ReadImage(channel_files[0])
        for name in reversed(wanted):  # the first last: it says that the scan is done
            write_like(volumes[name], reference, paths[name])
    return written


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The model, as ``nnUNetv2_predict`` takes it, under the same names."""
    parser.add_argument("-m", dest="model", type=Path, required=True, help="trained model folder")
    parser.add_argument("-f", dest="folds", nargs="+", help="folds (default: all trained ones)")
    parser.add_argument(
        "-chk", dest="checkpoint", default="checkpoint_final.pth", help="checkpoint name"
    )
    parser.add_argument(
        "-device", choices=("cuda", "cpu", "mps"), default="cuda", help="default: cuda"
    )
    parser.add_argument("--disable_tta", action="store_true", help="no mirrored passes")


def model_options(args: argparse.Namespace) -> dict[str, object]:
    """What these options mean to ``load_predictor`` and ``build_predictor``.

    Raises:
        ValueError: a CUDA device is asked for and there is none.
    """
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here; add `-device cpu`")
    return {
        "folds": args.folds,
        "checkpoint": args.checkpoint,
        "device": torch.device(args.device),
        "mirroring": not args.disable_tta,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``nnUNetv2_predict`` that make sense here, under the same names."""
    add_model_options(parser)
    parser.add_argument("-i", dest="images", type=Path, required=True, help="folder of scans")
    parser.add_argument("-o", dest="output", type=Path, required=True, help="output folder")
    parser.add_argument(
        "--feature", action="store_true", help=f"also write the feature F_h to {FEATURE_FOLDER}/"
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help=f"write {UNCERTAINTY_FOLDER}/ in place of the pseudo-DWI: how far passes with dropout "
        "differ (Clerigues2019Trainer)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(args: argparse.Namespace) -> None:
    """Synthesise every scan of the input folder."""
    predictor = build_predictor(args.model, **model_options(args), uncertainty=args.uncertainty)
    written = synthesize_folder(
        predictor,
        args.images,
        args.output,
        with_feature=args.feature,
        overwrite=args.overwrite,
    )
    kind = "uncertainty" if args.uncertainty else "pseudo-DWI"
    logger.info("%d %s volumes in %s", len(written), kind, args.output)
