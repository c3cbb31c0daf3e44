"""nnU-Net's training of the folds of a row."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.paper_table import PLANS, TableRow
from nnunetv2_strokesynth.reproduction.plan import Plan
from nnunetv2_strokesynth.reproduction.steps import Step
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL, quick_damage


def train_steps(plan: Plan, row: TableRow, fold: int | str) -> list[Step]:
    """The trainings of a fold that are not finished: fresh, continued, or only validated."""
    steps = (_train(plan, member, fold) for member in row.member_rows)
    return [step for step in steps if step is not None]


def _train(plan: Plan, row: TableRow, fold: int | str) -> Step | None:
    data = plan.data_of(row)
    folder = plan.model(row) / f"fold_{fold}"
    checkpoint = folder / FINAL
    trained = checkpoint.is_file()
    if trained and (found := quick_damage(checkpoint)):
        raise ValueError(found)
    needed = [folder / "validation" / "summary.json"]
    if plan.table.tuned:
        needed += [folder / "validation" / f"{i}.npz" for i in data.splits[int(fold)]["val"]]
    if trained and all(path.is_file() for path in needed):
        return None
    command = ["nnUNetv2_train", str(data.number), row.configuration, str(fold), "-tr", row.trainer]
    command += ["-p", row.plans] if row.plans != PLANS else []
    if trained:
        command.append("--val")
    elif (folder / "checkpoint_latest.pth").is_file():
        command.append("--c")
    command += ["--npz"] if plan.table.tuned else []
    command += ["-device", plan.device]
    return Step(f"{row.name}_train_fold_{fold}", command, plan.recipe)
