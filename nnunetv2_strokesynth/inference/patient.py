"""From one patient's images to a lesion, by the same steps as for a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunetv2_strokesynth.channels import (
    CT,
    CTA,
    DWI,
    PERFUSION_MAPS,
    PRESETS,
    Preset,
    names_in_order,
)
from nnunetv2_strokesynth.ctp.brain_mask import brain_ml
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.input_channels import (
    CtpChannels,
    CtpImages,
    make_channels,
)
from nnunetv2_strokesynth.ctp.map_files import on_reference, read_maps
from nnunetv2_strokesynth.ctp.maps_by import FOR_THRESHOLDS
from nnunetv2_strokesynth.ctp.plausibility.brain import check_prediction
from nnunetv2_strokesynth.ctp.plausibility.finding import settle
from nnunetv2_strokesynth.ctp.unusable_voxels import (
    Unusable,
    check_unusable,
    clear_unusable,
    series_unusable,
)
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import PseudoDwiRecord
from nnunetv2_strokesynth.inference.lesion import predict_lesion
from nnunetv2_strokesynth.inference.predictor import (
    has_generator,
    learned_from_dwi,
    pseudo_dwi_record,
)
from nnunetv2_strokesynth.inference.scan_maps import maps_of_study
from nnunetv2_strokesynth.inference.study import Study, brain_of_file
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import read_volume
from nnunetv2_strokesynth.io.placement import Placement, place
from nnunetv2_strokesynth.io.series import AIR_HU, Series, unusable_voxels


class Prepared(NamedTuple):
    """A patient's scan as a network reads it.

    Attributes:
        images: CT, maps and series.
        made: channels, brain mask, curve and window; the channels are masked as the model's are.
        computed: what was computed from the series; None if all images were given.
        notes: a sentence for each image that was computed, and each warning.
        warnings: those of the notes that call the images, the brain or the lesion doubtful.
    """

    images: CtpImages
    made: CtpChannels
    computed: ComputedMaps | None
    notes: list[str]
    warnings: Sequence[str] = ()


class Prediction(NamedTuple):
    """A model's prediction, arrays of (Z, Y, X).

    Attributes:
        lesion: bool.
        probability: probability of lesion, float32.
        pseudo_dwi: float32; None for a network that has not learned from a DWI.
        record: what the pseudo-DWI is.
        caution: why there is no pseudo-DWI although there is a generator; else empty.
        fold_voxels: fold -> voxels of lesion by it alone; empty for a single fold.
    """

    lesion: np.ndarray
    probability: np.ndarray
    pseudo_dwi: np.ndarray | None
    record: PseudoDwiRecord = PseudoDwiRecord()
    caution: str = ""
    fold_voxels: Mapping[str, int] = MappingProxyType({})


def maps_are_given(prepared: Prepared) -> bool:
    """Whether the maps come from files, although a CT may have been computed."""
    return all(name in prepared.images.files for name in PERFUSION_MAPS)


def threshold_maps(prepared: Prepared) -> PerfusionMaps:
    """The maps that thresholds are applied to; the network may have read others."""
    if prepared.computed is None or maps_are_given(prepared):
        return PerfusionMaps(*prepared.images.maps)
    return prepared.computed.threshold_maps


def model_preset(dataset_json: dict, model: Path) -> Preset:
    """The preset whose channels a model reads.

    Raises:
        ValueError: it reads other channels, MRI, or a DWI, which no CT perfusion scan has.
    """
    names = names_in_order(dataset_json["channel_names"])
    presets = [preset for preset in PRESETS.values() if preset.made_from_ctp]
    for preset in (*presets, *(preset.with_cta() for preset in presets)):
        if preset.names == names and DWI not in names:
            return preset
    known = ", ".join(name for name, preset in PRESETS.items() if preset.made_from_ctp)
    raise ValueError(
        f"{model} reads the channels {', '.join(names)}, which are not made from CT perfusion; "
        f"use a model trained on a data set of one of the presets {known} that reads no DWI"
    )


def prepare(
    study: Study,
    preset: Preset,
    *,
    brain_mask: bool = True,
    brain_file: Path | None = None,
    aif_at: tuple[int, int, int] | None = None,
    vof_at: tuple[int, int, int] | None = None,
    correct_motion: bool = True,
    watch: Callable[[Series], Series] = lambda series: series,
) -> Prepared:
    """Read or compute a patient's images and make the channels of a preset.

    All four maps are computed where any is missing: maps of two sources would not fit together.
    Without a CT, the mean of the series' frames before the contrast arrives serves as one.

    Args:
        study: the images.
        preset: of the model.
        brain_mask: whether everything outside the brain becomes 0, as in the model's data set.
        brain_file: a brain mask; None to find the brain.
        aif_at, vof_at: voxels (x, y, z) of artery and vein, as the series stores them, if maps are
            computed.
        correct_motion: whether motion is taken out of the series before maps are computed.
        watch: function that is given a series and returns it, to show how far reading is.

    Raises:
        ValueError: the images, or the mask, cannot be used; or the maps are given, and an option
            for computing them is, too.
    """
    missing = [name for name in (CT, *PERFUSION_MAPS) if name not in study.files]
    compute = any(name in missing for name in PERFUSION_MAPS)
    if not compute:
        _refuse_without_effect(aif_at, vof_at, correct_motion)
    computed = None
    brain, of_brain = brain_of_file(brain_file, study)
    notes = [*study.notes, *of_brain]
    if missing:
        computed = maps_of_study(
            study,
            brain=brain,
            aif_at=aif_at,
            vof_at=vof_at,
            threshold_method=FOR_THRESHOLDS,
            correct_motion=correct_motion,
            second_artery=True,
            watch=watch,
        )
        notes = [*notes, *_what_was_computed(missing), *computed.warnings]
    unusable: list[Unusable] = []
    if compute:
        maps = np.stack(computed.maps)
    else:
        read = read_maps({name: study.files[name] for name in PERFUSION_MAPS})
        maps, unusable = read.maps, read.unusable
        notes += _what_was_background(read.backgrounds)
    ct = computed.baseline_hu if CT in missing else _read(study, CT, unusable)
    spacing = study.geometry.spacing_zyx_mm
    files = {name: placed.path.name for name, placed in study.files.items() if name not in missing}
    cta = None
    if preset.reads_cta:
        placed = _place_cta(study)
        cta = _read_placed(placed, CTA, unusable)
        notes += placed.notes
    images = CtpImages(
        ct, maps, watch(study.series), study.series_name, spacing, brain=brain, files=files, cta=cta
    )
    made = make_channels(preset, images)
    unusable += series_unusable(unusable_voxels(study.series))
    doubts = [*study.doubts, *_doubts_of(computed, of_maps=compute)]
    notes = [note for note in notes if note not in doubts]
    warnings = [*doubts, *made.warnings, *check_unusable(unusable, made.mask)]
    if brain_mask:
        channels = [np.where(made.mask, channel, np.float32(0)) for channel in made.channels]
        made = made._replace(channels=channels)
    if computed is not None:
        computed = _in_brain(computed, made.mask, spacing)
    return Prepared(images, made, computed, [*warnings, *notes], warnings)


def predict_patient(
    predictor: nnUNetPredictor,
    channels: Sequence[np.ndarray],
    spacing: Sequence[float],
    *,
    folds: Sequence[str] = (),
) -> Prediction:
    """Lesion, probability and pseudo-DWI of a patient by one trained model, in one pass.

    Args:
        predictor: with the model in it.
        channels: C of (Z, Y, X).
        spacing: voxel sizes (z, y, x) in mm.
        folds: names of the predictor's networks, in their order.
    """
    record, caution, wanted = PseudoDwiRecord(), "", learned_from_dwi(predictor)
    if has_generator(predictor):
        record = pseudo_dwi_record(predictor)
        caution = "" if wanted else record.caution
    found = predict_lesion(
        predictor, np.stack(channels), spacing, folds=folds, with_pseudo_dwi=wanted
    )
    return Prediction(
        found.lesion, found.probability, found.pseudo_dwi, record, caution, found.fold_voxels
    )


def with_warnings(prepared: Prepared, said: Sequence[str]) -> Prepared:
    """The scan with further warnings, before those that it has; itself if there are none."""
    if not said:
        return prepared
    return prepared._replace(notes=[*said, *prepared.notes], warnings=[*said, *prepared.warnings])


def doubts_about(prediction: Prediction, brain: np.ndarray) -> list[str]:
    """Warnings where a prediction is implausible: no lesion, or half of the brain (Z, Y, X)."""
    return settle(check_prediction(prediction.lesion, prediction.probability, brain))


def _doubts_of(computed: ComputedMaps | None, *, of_maps: bool) -> list[str]:
    """What makes computed images doubtful, as in ``strokesynth maps``.

    Where only a CT was computed, nothing depends on the vessels, and motion alone counts.
    """
    if computed is None:
        return []
    if of_maps:
        return computed.warnings
    return computed.motion.warnings if computed.motion else []


def _in_brain(
    computed: ComputedMaps, brain: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> ComputedMaps:
    """The computed maps with the network's brain: a result has one mask and one volume of it.

    The network's is that of its data set, of which the maps tell the brain; that of
    ``compute_maps`` has CSF at the rim, too.
    """
    row = {**computed.row, "brain_ml": brain_ml(brain, spacing_zyx_mm)}
    return computed._replace(brain=brain, row=row)


def _refuse_without_effect(aif_at: object, vof_at: object, correct_motion: bool) -> None:
    """Options of computing maps have no effect where CT and maps are given."""
    options = {
        "--aif": aif_at is not None,
        "--vof": vof_at is not None,
        "--no-motion-correction": not correct_motion,
    }
    given = [name for name, is_given in options.items() if is_given]
    if given:
        raise ValueError(
            f"{' and '.join(given)}: the maps are given, so none is computed; leave it out, "
            "or take the given maps out of the folder"
        )


def _what_was_background(constants: str) -> list[str]:
    if not constants:
        return []
    return [f"background of the maps that is not 0 was recognised and set to 0: {constants}"]


def _what_was_computed(missing: list[str]) -> list[str]:
    notes = []
    if any(name in missing for name in PERFUSION_MAPS):
        notes.append("CBF, CBV, MTT and Tmax were computed from the series")
    if CT in missing:
        notes.append("the mean of the frames before the contrast serves as the CT")
    return notes


def _read(study: Study, name: str, unusable: list[Unusable]) -> np.ndarray:
    return _read_placed(study.files[name], name, unusable)


def _place_cta(study: Study) -> Placement:
    """The study's CTA on the voxels of its series; ``ValueError`` unless there is just one."""
    if len(study.cta_files) != 1:
        found = name_some(study.cta_files) or "none"
        raise ValueError(
            f"this model reads a CTA, too: expected one file called like cta.nii.gz beside "
            f"{study.series_name}, found {found}; add it, leave one, or use a model that was "
            "trained without --cta"
        )
    return place(study.cta_files[0], study.reference)


def _read_placed(placed: Placement, name: str, unusable: list[Unusable]) -> np.ndarray:
    """One image; its voxels that hold no measurement become background and join the others."""
    outside = AIR_HU if name in (CT, CTA) else 0.0
    stored, found = clear_unusable(name, read_volume(placed.path), background=outside)
    unusable += [on_reference(one, placed) for one in found]
    return placed.image(stored, outside=outside)
