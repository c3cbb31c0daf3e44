"""Images that a network makes beside the lesion, as NIfTI: pseudo-DWI and feature, or uncertainty.

nnU-Net's own predictor does the work; only the network's head differs. The images are brought back
into the scan's geometry by the inverse of nnU-Net's preprocessing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_strokesynth.channels import names_in_order
from nnunetv2_strokesynth.ctp.plausibility.channels import check_masked_channels
from nnunetv2_strokesynth.ctp.plausibility.finding import settle, warn_only
from nnunetv2_strokesynth.dataloading.beside_cases import spacings_mm
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    PseudoDwiRecord,
    read_record,
    write_record,
)
from nnunetv2_strokesynth.inference.heads import attach_head
from nnunetv2_strokesynth.inference.image_folders import IMAGE_FOLDERS
from nnunetv2_strokesynth.inference.orientation_check import orientation_notes
from nnunetv2_strokesynth.inference.predictor import load_predictor, pseudo_dwi_record
from nnunetv2_strokesynth.io.image_file import (
    simpleitk_name,
    write_image,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nnunet_reader import read_channels
from nnunetv2_strokesynth.io.orientation import (
    AS_STORED,
    UNKNOWN,
    axis_order,
    reorientation_to,
    says_nothing,
)
from nnunetv2_strokesynth.io.progress import progress
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL

logger = logging.getLogger(__name__)


def build_predictor(
    model_folder: Path,
    *,
    folds: Sequence[str] | None = None,
    checkpoint: str = FINAL,
    device: torch.device | None = None,
    mirroring: bool = True,
    uncertainty: bool = False,
) -> nnUNetPredictor:
    """nnU-Net's predictor with another head in place of the segmentation.

    Args:
        model_folder, folds, checkpoint, device, mirroring: see ``load_predictor``.
        uncertainty: the uncertainty in place of the pseudo-DWI.

    Raises:
        FileNotFoundError, ValueError: see ``load_predictor`` and ``attach_head``.
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
    crop = (slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    inside = (slice(None), *crop)
    full[inside] = np.asarray(cropped, dtype=np.float32)
    return full.transpose([0, *(axis + 1 for axis in plans_manager.transpose_backward)])


def synthesize_channels(
    predictor: nnUNetPredictor, channels: np.ndarray, properties: dict
) -> np.ndarray:
    """The head's images of one scan, such as pseudo-DWI and feature.

    Args:
        predictor: result of ``build_predictor``.
        channels: ``(C, Z, Y, X)`` in the units of the data set.
        properties: of the scan; ``spacing`` at least.

    Returns:
        float32 ``(N, Z, Y, X)``, in the order of the head's ``outputs``.
    """
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case_npy(
        channels, None, properties, plans, configuration, predictor.dataset_json
    )
    heads = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data))
    return revert_preprocessing(heads.float(), properties, plans, configuration)


def synthesize_case(predictor: nnUNetPredictor, channel_files: Sequence[str]) -> np.ndarray:
    """``synthesize_channels`` of a scan's files, one per channel, on the voxels of the files.

    The network sees them in ``LPS`` order.

    Raises:
        ValueError: the model was made by an earlier version and the files are in another order.
    """
    reader = predictor.plans_manager.image_reader_writer_class()
    channels, properties = read_channels(reader, channel_files)
    stored = properties["sitk_stuff"]
    direction, name = stored["direction"], Path(channel_files[0]).name
    silent = says_nothing(direction, stored["origin"])
    order = UNKNOWN if silent else axis_order(direction)
    for note in orientation_notes(
        predictor.dataset_json, Path("the model"), scan=name, order=order
    ):
        logger.warning("warning: %s: %s", name, note)
    turn = AS_STORED if silent else reorientation_to(direction)
    spacing = [properties["spacing"][axis] for axis in turn.axes]
    channels = turn.apply(channels)
    for warning in _doubts(predictor.dataset_json, channels, spacing):
        logger.warning("warning: %s: %s", name, warning)
    return turn.undo(synthesize_channels(predictor, channels, {"spacing": spacing}))


def _doubts(dataset_json: dict, channels: np.ndarray, spacing: Sequence[float]) -> list[str]:
    """What is implausible; ``strokesynth convert`` has refused what cannot be right."""
    names = list(names_in_order(dataset_json["channel_names"]))
    if not dataset_json.get("brain_mask", True) or len(names) != len(channels):
        return []
    return settle(warn_only(check_masked_channels(names, channels, spacing)))


def synthesize_folder(
    predictor: nnUNetPredictor,
    images: Path,
    output: Path,
    *,
    case_ids: Collection[str] | None = None,
    with_feature: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Write the images of every scan of a folder in nnU-Net format (``case_0000.nii.gz``, ...).

    Args:
        predictor: result of ``build_predictor``.
        images: the folder of scans.
        output: receives the images, in the folders of ``IMAGE_FOLDERS``, and ``pseudo_dwi.json``,
            which says what a pseudo-DWI is.
        case_ids: only these scans; None: all.
        with_feature: whether the extractor's feature is written, too.
        overwrite: whether existing files are made again; otherwise they are kept.

    Returns:
        The files of the head's first image, one per scan.

    Raises:
        FileNotFoundError: no folder, or no scans in it.
        FileExistsError: the output holds images on another scale, of another kind of model.
        ValueError: a scan lacks channels, or the feature is wanted of a network without extractor.
    """
    outputs = predictor.network.outputs
    if with_feature and "feature" not in outputs:
        raise ValueError(
            f"{predictor.trainer_name} has no extractor, so there is no feature to write; "
            "leave out --feature"
        )
    wanted = [name for name in outputs if name != "feature" or with_feature]
    ending = predictor.dataset_json["file_ending"]
    scans = _find_scans(images, predictor.dataset_json, case_ids)
    if "pseudo_dwi" in outputs:
        record = pseudo_dwi_record(predictor)
        if not overwrite:
            _refuse_other_record(output, record, ending)
        if record.caution:
            logger.warning("warning: %s", record.caution)
        output.mkdir(parents=True, exist_ok=True)
        write_record(output, record)
    written = []
    for case_id, files in progress(
        scans.items(), desc=outputs[0].replace("_dwi", "-DWI"), unit="scan"
    ):
        paths = {name: output / IMAGE_FOLDERS[name] / f"{case_id}{ending}" for name in wanted}
        written.append(paths[wanted[0]])
        if overwrite or not all(path.is_file() for path in paths.values()):
            _write_scan(predictor, files, paths)
    return written


def _refuse_other_record(output: Path, record: PseudoDwiRecord, ending: str) -> None:
    """``FileExistsError`` where images are kept and the one record would not be theirs."""
    if not output.is_dir() or not any(output.glob(f"*{ending}")):
        return
    found = read_record(output)
    if found != record:
        raise FileExistsError(
            f"{output} holds the images of another model (scale '{found.scale}', version "
            f"{found.scale_version}, learned from {found.learned}; now '{record.scale}', version "
            f"{record.scale_version}, {record.learned}); choose another folder or add --overwrite"
        )


def _find_scans(
    images: Path, dataset_json: dict, case_ids: Collection[str] | None
) -> dict[str, list[str]]:
    """The channels' files of every scan, by case id, as SimpleITK takes their names."""
    ending = dataset_json["file_ending"]
    if not images.is_dir():
        raise FileNotFoundError(f"{images} is not a folder")
    scans: dict[str, list[str]] = {}
    for path in sorted(images.iterdir()):
        match = re.fullmatch(r"([^.].*)_\d{4}" + re.escape(ending), path.name)
        if match and (case_ids is None or match[1] in case_ids):
            scans.setdefault(match[1], []).append(simpleitk_name(path))
    lacking = set(case_ids or ()) - set(scans)
    if lacking or not scans:
        which = f"no scan of {name_some(lacking)}" if lacking else "no scans"
        raise FileNotFoundError(f"{images} holds {which} named like case_0000{ending}")
    names = names_in_order(dataset_json["channel_names"])
    for case_id, files in scans.items():
        if len(files) != len(names):
            raise ValueError(
                f"{case_id}: {images} holds {len(files)} channels of it, the model reads "
                f"{len(names)}: {', '.join(names)}"
            )
    return scans


def _write_scan(predictor: nnUNetPredictor, files: list[str], paths: dict[str, Path]) -> None:
    """Write the images of one scan; the first one comes last, for it says that the scan is done."""
    volumes = dict(zip(predictor.network.outputs, synthesize_case(predictor, files), strict=True))
    reference = sitk.ReadImage(files[0])
    for name in reversed(paths):
        _write_like(volumes[name], reference, paths[name])


def _write_like(volume: np.ndarray, reference: sitk.Image, path: Path) -> None:
    """Write ``(Z, Y, X)`` with the geometry of ``reference``."""
    image = sitk.GetImageFromArray(volume)
    image.CopyInformation(reference)
    write_image(path, image, compressed=False)
