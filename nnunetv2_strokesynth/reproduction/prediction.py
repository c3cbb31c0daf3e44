"""Predictions of a row: one command, or the mean probability of several networks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_strokesynth.papers.shared.paper_table import PLANS, TableRow
from nnunetv2_strokesynth.reproduction.data_set import DataSet
from nnunetv2_strokesynth.reproduction.plan import Plan
from nnunetv2_strokesynth.reproduction.steps import Step, replacing, up_to_date
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL

Folds = Sequence[int | str]


def prediction_steps(
    plan: Plan, row: TableRow, folds: Folds, *, images: Path, case_ids: list[str], is_new: bool
) -> list[Step]:
    """Predict some scans by the networks of some folds, into ``predictions``.

    With several networks and ``averages_probabilities`` each one predicts on its own, and
    ``nnUNetv2_ensemble`` averages: ``nnUNetv2_predict`` would average logits.

    Args:
        plan, row: what to predict with.
        folds: of the trainings.
        images: the scans' folder.
        case_ids: the scans in it.
        is_new: whether something that the predictions depend on is still to be made.
    """
    target = plan.folder(row) / "predictions"
    ending = plan.data_of(row).file_ending
    checkpoints = [
        plan.model(member) / f"fold_{fold}" / FINAL for member in row.member_rows for fold in folds
    ]
    results = [target / f"{case_id}{ending}" for case_id in case_ids]
    if plan.table.tuned:
        results += [target / f"{case_id}.npz" for case_id in case_ids]
    if not is_new and up_to_date(results, checkpoints):
        return []
    if len(checkpoints) == 1 or not plan.table.averages_probabilities:
        command = _predict(plan, row, folds, images=images, target=target)
        return [Step(f"{row.name}_predict", command, {})]
    return _averaged(plan, row, folds, images=images, target=target)


def _averaged(plan: Plan, row: TableRow, folds: Folds, *, images: Path, target: Path) -> list[Step]:
    steps, folders = [], []
    for member in row.member_rows:
        for fold in folds:
            folder = plan.folder(row) / "single" / f"{member.name}_fold_{fold}"
            command = _predict(plan, member, [fold], images=images, target=folder)
            if "--save_probabilities" not in command:
                command.append("--save_probabilities")
            steps.append(Step(f"{row.name}_predict_{member.name}_fold_{fold}", command, {}))
            folders.append(str(folder))
    command = ["nnUNetv2_ensemble", "-i", *folders, "-o", str(target)]
    command += ["--save_npz"] if plan.table.tuned else []
    return [*steps, Step(f"{row.name}_ensemble", command, {})]


def _predict(plan: Plan, row: TableRow, folds: Folds, *, images: Path, target: Path) -> list[str]:
    data = plan.data_of(row)
    command = f"nnUNetv2_predict -d {data.number} -c {row.configuration} -tr {row.trainer}".split()
    command += ["-p", row.plans] if row.plans != PLANS else []
    command += ["-f", *map(str, folds), "-i", str(images), "-o", str(target)]
    command += ["--save_probabilities"] if plan.table.tuned else []
    return [*command, "-device", plan.device]


def links_folder(plan: Plan, row: TableRow, fold: int | str) -> Path:
    """Where the images of a fold's measured scans are linked."""
    return plan.out / "images" / f"{plan.data_of(row).name}_fold_{fold}"


def links(data: DataSet, folder: Path, case_ids: list[str]) -> list[Step]:
    """A shell line that links the images of some scans into a folder, unless they are there."""
    images = data.raw / "imagesTr"
    pattern = f"_????{data.file_ending}"
    sources = {case_id: list(images.glob(f"{case_id}{pattern}")) for case_id in case_ids}
    lacking = sorted(case_id for case_id, found in sources.items() if not found)
    if lacking:
        raise FileNotFoundError(f"{images} has no image of {lacking[0]}, which is in the splits")
    if all((folder / path.name).exists() for found in sources.values() for path in found):
        return []
    words = (shlex.quote(str(path)) for path in (folder, images, folder))
    where, source, target = words
    line = f"mkdir -p {where} && for case in {shlex.join(case_ids)}; "
    line += f'do ln -sf {source}/"$case"{pattern} {target}/; done'
    return [Step(f"link_{folder.name}", ["bash", "-c", line], {})]


def pseudo_dwi_steps(
    plan: Plan, row: TableRow, fold: int | str, *, case_ids: list[str], is_new: bool
) -> list[Step]:
    """The pseudo-DWI of a fold's measured scans, for a row on which it is measured."""
    if not row.synthesis:
        return []
    folder = plan.folder(row) / "pseudo_dwi"
    checkpoint = plan.model(row) / f"fold_{fold}" / FINAL
    volumes = [folder / f"{i}{plan.data_of(row).file_ending}" for i in case_ids]
    if not is_new and up_to_date(volumes, [checkpoint]):
        return []
    command = ["strokesynth", "synthesize", "-m", str(plan.model(row))]
    command += ["-i", str(links_folder(plan, row, fold)), "-o", str(folder), "-f", str(fold)]
    command += ["-device", plan.device]
    if any(is_new or not up_to_date([v], [checkpoint]) for v in volumes if v.is_file()):
        command = replacing(command, folder)
    return [Step(f"{row.name}_synthesize_fold_{fold}", command, {})]
