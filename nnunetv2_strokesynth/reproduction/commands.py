"""From a row of a table to the commands that are still to be run for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.papers.shared.paper_table import TableRow
from nnunetv2_strokesynth.reproduction.data_set import DataSet
from nnunetv2_strokesynth.reproduction.plan import (
    PAPER,
    Plan,
    measured_cases,
)


class Step(NamedTuple):
    """One command.

    Attributes:
        name: of its log file.
        command: name and arguments; ``bash -c LINE`` for a line that needs a shell.
        shown: variables in front of it.
    """

    name: str
    command: list[str]
    shown: dict[str, str]

    @property
    def text(self) -> str:
        """The line to paste into bash."""
        if self.command[:2] == ["bash", "-c"]:
            return self.command[2]
        prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in self.shown.items())
        return prefix + shlex.join(self.command)


def all_steps(plan: Plan, rows: list[TableRow]) -> list[tuple[TableRow, list[Step]]]:
    """What is still to be done, by row; a command that two rows share (links) is in the first."""
    seen: set[str] = set()
    steps = []
    for row in rows:
        fresh = [step for step in row_steps(plan, row) if step.text not in seen]
        seen.update(step.text for step in fresh)
        steps.append((row, fresh))
    return steps


def row_steps(plan: Plan, row: TableRow) -> list[Step]:
    """What is still to be done for a row, in order; nothing if it is finished.

    A result that is older than what it was made from is made again.
    """
    data = plan.data_of(row)
    folds = measured_cases(data, plan.folds)
    training = {fold: step for fold in folds if (step := _train(plan, row, fold)) is not None}
    steps = list(training.values())
    if plan.on_test_set:
        return steps + _test_set_steps(plan, row, list(folds), is_new=bool(steps))
    for fold, case_ids in folds.items():
        steps += _image_steps(plan, row, fold, case_ids=case_ids, is_new=fold in training)
    return steps + _evaluation(plan, row, folds, is_new=bool(steps))


def _train(plan: Plan, row: TableRow, fold: int) -> Step | None:
    """nnU-Net's training of a fold: fresh, continued, only validated, or None if it is done."""
    data = plan.data_of(row)
    folder = plan.model(row) / f"fold_{fold}"
    trained = (folder / "checkpoint_final.pth").is_file()
    if trained and (folder / "validation" / "summary.json").is_file():
        return None
    command = ["nnUNetv2_train", str(data.number), row.configuration, str(fold), "-tr", row.trainer]
    if trained:
        command.append("--val")
    elif (folder / "checkpoint_latest.pth").is_file():
        command.append("--c")
    command += ["-device", plan.device]
    return Step(f"{row.trainer}_train_fold_{fold}", command, plan.recipe)


def _image_steps(
    plan: Plan, row: TableRow, fold: int, *, case_ids: list[str], is_new: bool
) -> list[Step]:
    """Prediction (the paper's split only) and pseudo-DWI of a fold's measured scans."""
    data, out = plan.data_of(row), plan.folder(row)
    checkpoint = plan.model(row) / f"fold_{fold}" / "checkpoint_final.pth"
    links = plan.out / "images" / f"{data.name}_fold_{fold}"
    steps = []
    if plan.folds == PAPER:
        predictions = [out / "predictions" / f"{i}{data.file_ending}" for i in case_ids]
        if is_new or not _up_to_date(predictions, [checkpoint]):
            command = _predict(plan, row, [fold], images=links)
            steps.append(Step(f"{row.trainer}_predict", command, {}))
    if row.synthesis:
        folder = out / "pseudo_dwi"
        volumes = [folder / f"{i}{data.file_ending}" for i in case_ids]
        if is_new or not _up_to_date(volumes, [checkpoint]):
            command = ["strokesynth", "synthesize", "-m", str(plan.model(row))]
            command += ["-i", str(links), "-o", str(folder), "-f", str(fold)]
            command += ["-device", plan.device]
            if any(is_new or not _up_to_date([v], [checkpoint]) for v in volumes if v.is_file()):
                command.append("--overwrite")
            steps.append(Step(f"{row.trainer}_synthesize_fold_{fold}", command, {}))
    return _links(data, links, case_ids) + steps if steps else []


def _predict(plan: Plan, row: TableRow, folds: list[int], *, images: Path) -> list[str]:
    data = plan.data_of(row)
    command = f"nnUNetv2_predict -d {data.number} -c {row.configuration} -tr {row.trainer}".split()
    command += ["-f", *map(str, folds), "-i", str(images)]
    return [*command, "-o", str(plan.folder(row) / "predictions"), "-device", plan.device]


def _links(data: DataSet, folder: Path, case_ids: list[str]) -> list[Step]:
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


def _evaluation(
    plan: Plan, row: TableRow, folds: dict[int, list[str]], *, is_new: bool
) -> list[Step]:
    data, out = plan.data_of(row), plan.folder(row)
    command = ["strokesynth", "evaluate", "--gt", str(data.raw / "labelsTr"), "--pred"]
    measured = {case_id for case_ids in folds.values() for case_id in case_ids}
    if plan.folds == PAPER:
        command.append(str(out / "predictions"))
        made_from = [out / "predictions" / f"{i}{data.file_ending}" for i in measured]
    else:
        model = plan.model(row)
        command += [str(model), "-f", *map(str, folds)]
        made_from = [model / f"fold_{fold}" / "validation" / "summary.json" for fold in folds]
    if row.synthesis:
        command += ["--dwi", str(data.raw / "targetsTr"), "--pseudo-dwi", str(out / "pseudo_dwi")]
        made_from += [out / "pseudo_dwi" / f"{i}{data.file_ending}" for i in measured]
    if measured != set(data.case_ids("labelsTr")):
        command.append("--allow-missing")
    return _finish_evaluation(row, command, out / "evaluation", made_from, is_new=is_new)


def _finish_evaluation(
    row: TableRow, command: list[str], folder: Path, made_from: list[Path], *, is_new: bool
) -> list[Step]:
    if not is_new and _up_to_date([folder / "cases.csv"], made_from):
        return []
    command = [*command, "-o", str(folder)]
    if folder.is_dir() and any(folder.iterdir()):
        command.append("--overwrite")
    return [Step(f"{row.trainer}_evaluate", command, {})]


def _test_set_steps(plan: Plan, row: TableRow, folds: list[int], *, is_new: bool) -> list[Step]:
    """Table 6: the ensemble predicts imagesTs; evaluated where the truth is known."""
    data, out = plan.data_of(row), plan.folder(row)
    case_ids = data.case_ids("imagesTs")
    if not case_ids:
        raise FileNotFoundError(f"{data.raw / 'imagesTs'} holds no test scans to predict")
    model = plan.model(row)
    checkpoints = [model / f"fold_{fold}" / "checkpoint_final.pth" for fold in folds]
    predictions = [out / "predictions" / f"{i}{data.file_ending}" for i in case_ids]
    steps = []
    if is_new or not _up_to_date(predictions, checkpoints):
        command = _predict(plan, row, folds, images=data.raw / "imagesTs")
        steps.append(Step(f"{row.trainer}_predict", command, {}))
    if not truth_is_known(data):
        return steps
    command = ["strokesynth", "evaluate", "--gt", str(data.raw / "labelsTs")]
    command += ["--pred", str(out / "predictions")]
    is_new = is_new or bool(steps)
    return steps + _finish_evaluation(row, command, out / "evaluation", predictions, is_new=is_new)


def truth_is_known(data: DataSet) -> bool:
    """Whether the test scans have labels: a phantom's may, the challenge's are hidden."""
    return bool(data.case_ids("labelsTs"))


def _up_to_date(results: Iterable[Path], made_from: Iterable[Path]) -> bool:
    """Whether all results are there and none is older than anything it was made from."""
    results, made_from = list(results), list(made_from)
    if not all(path.is_file() for path in (*results, *made_from)):
        return False
    newest = max(path.stat().st_mtime for path in made_from)
    return all(path.stat().st_mtime >= newest for path in results)
