"""Checks that keep results apart: a run with other settings is not continued and not shown."""

from __future__ import annotations

import re
from pathlib import Path

from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.text_files import inner_object, read_json_object
from nnunetv2_strokesynth.papers.shared.paper_table import PLANS, TableRow
from nnunetv2_strokesynth.reproduction.data_set import DataSet
from nnunetv2_strokesynth.reproduction.plan import (
    RECIPE_OPTIONS,
    Plan,
    measured_cases,
)
from nnunetv2_strokesynth.trainers.environment import (
    BASE_FEATURES,
    EPOCHS,
    ITERATIONS,
    OVERRIDES,
)

SETTINGS_FILE = "reproduce.json"
# Our trainers begin with these; they alone read the recipe.
PREFIXES = (
    "StrokeSynthTrainer",
    "Song2018Trainer",
    "Clerigues2019Trainer",
    "Gomez2023Trainer",
    "Abulnaga2018Trainer",
)
PLANNERS = {"nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL"}  # nnU-Net's, by their plans
RECIPE = "those of its recipe"
# Our trainers say so in the first lines of their log; without the line the recipe's value was used.
LOGGED = {name: OVERRIDES[name] for name in (EPOCHS, ITERATIONS)}
_LOG_LINES = 100


def settings_of(plan: Plan) -> dict:
    """What two runs into one folder must agree on, as JSON."""
    return {
        "table": plan.table.name,
        "dataset": plan.data.name,
        "folds": plan.folds if isinstance(plan.folds, str) else list(plan.folds),
        **{
            option: plan.recipe.get(name, plan.papers_recipe.get(name))
            for option, name in RECIPE_OPTIONS.items()
        },
        "measured": {
            data.name: {str(k): v for k, v in measured_cases(data, plan.folds).items()}
            for data in plan.data_sets
        },
    }


def read_settings(out: Path) -> dict:
    """The settings of an earlier run into this folder; empty if there was none.

    Raises:
        ValueError: the file cannot be read.
    """
    path, way_out = out / SETTINGS_FILE, "choose another -o"
    if not path.is_file():
        return {}
    found = read_json_object(path, way_out=way_out)
    for name in ("also", "devices"):
        names = found.get(name, [])
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise ValueError(f"{path}: {name} is no list of names; {way_out}")
    return found


def check_settings(plan: Plan, stored: dict) -> None:
    """Raise ``ValueError`` if an earlier run into the folder had other settings."""
    if not stored:
        return
    now = settings_of(plan)
    for name in ("table", "dataset", "folds", *RECIPE_OPTIONS):
        if stored.get(name) != now[name]:
            before, after = (RECIPE if v is None else v for v in (stored.get(name), now[name]))
            raise ValueError(
                f"{plan.out / SETTINGS_FILE}: was made with {name.replace('_', '-')} {before}, now "
                f"it is {after}; use the same, or another -o"
            )
    for name, folds in now["measured"].items():
        if inner_object(stored, "measured").get(name, folds) != folds:
            raise ValueError(
                f"{plan.out / SETTINGS_FILE}: the splits of {name} have changed since it was made; "
                "use another -o and another nnUNet_results"
            )


def write_settings(plan: Plan, stored: dict, *, is_run: bool) -> list[str]:
    """Remember the settings, the further rows and the devices of all runs into this folder.

    Args:
        plan: of this run.
        stored: result of ``read_settings``.
        is_run: whether this run has anything to do on its device.

    Returns:
        The devices.
    """
    devices = set(stored.get("devices", []))
    devices = sorted(devices | {plan.device} if is_run or not devices else devices)
    also = [row.trainer for row in plan.table.rows if row.further]
    content = {**settings_of(plan), "also": also, "devices": devices}
    content["measured"] = inner_object(stored, "measured") | content["measured"]
    write_json(plan.out / SETTINGS_FILE, content)
    return devices


def check_model(plan: Plan, row: TableRow) -> None:
    """Raise ``ValueError`` if a row's model was, or is being, trained with another recipe.

    Trainers that are not ours do not read the recipe and are not checked.
    """
    for member in row.member_rows:
        _check_member(plan, member)


def _check_member(plan: Plan, row: TableRow) -> None:
    data = plan.data_of(row)
    model = plan.model(row)
    if not row.trainer.startswith(PREFIXES) or not model.is_dir():
        return
    used_features = _base_features(model, row.configuration)
    wanted = plan.recipe.get(BASE_FEATURES, str(row.base_features))
    if used_features is not None and used_features != wanted:
        raise _other_recipe(model, "--base-features", used_features, wanted)
    for fold in measured_cases(data, plan.folds):
        for name, attribute in LOGGED.items():
            folder = model / f"fold_{fold}"
            default = RECIPE if row.further else plan.papers_recipe.get(name, RECIPE)
            used = {value or default for value in _logged_values(folder, attribute)}
            wanted = plan.recipe.get(name, default)
            if used and wanted not in used:
                option = {EPOCHS: "--epochs", ITERATIONS: "--iterations"}[name]
                raise _other_recipe(folder, option, min(used), wanted)


def _other_recipe(folder: Path, option: str, used: str, wanted: str) -> ValueError:
    return ValueError(
        f"{folder} was trained with {option} {used}, now it is {wanted}; use the same, or set "
        "nnUNet_results to another folder (and give another -o)"
    )


def _base_features(model: Path, configuration: str) -> str | None:
    path = model / "plans.json"
    if not path.is_file():
        return None
    plans = read_json_object(path, way_out="train the model again")
    value = inner_object(plans, "configurations", configuration).get(BASE_FEATURES)
    return None if value is None else str(value)


def _logged_values(fold: Path, attribute: str) -> set[str | None]:
    """Values of a setting in the logs of a fold that has checkpoints; None: the recipe's own.

    Several logs belong to one training that was continued, or validated by hand later on.
    """
    if not any(fold.glob("checkpoint_*.pth")):
        return set()
    values = set()
    for path in fold.glob("training_log_*.txt"):
        with path.open(encoding="utf-8", errors="replace") as file:
            head = "".join(line for line, _ in zip(file, range(_LOG_LINES), strict=False))
        match = re.search(rf"\b{attribute} = (\d+) from ", head)
        values.add(match[1] if match else None)
    return values


def check_preprocessed(data: DataSet, configuration: str, plans: str = PLANS) -> None:
    """Raise ``FileNotFoundError`` if nnU-Net has not planned and preprocessed a data set.

    Args:
        data: the data set.
        configuration: one that nnU-Net plans, ``2d`` or ``3d_fullres``.
        plans: their name. The planners for other networks keep the folder of the scans.
    """
    folder = data.roots.preprocessed / data.name
    planned = (folder / f"{plans}.json").is_file()
    if not planned or not any(folder.glob(f"nnUNetPlans_{configuration}/*.pkl")):
        planner = f"-pl {PLANNERS[plans]} " if plans in PLANNERS else ""
        raise FileNotFoundError(
            f"{folder} holds no preprocessed scans; run `nnUNetv2_plan_and_preprocess "
            f"-d {data.number} {planner}-c {configuration} -np 2` first"
        )
