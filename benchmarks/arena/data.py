"""The arena's data: a phantom, converted, planned and preprocessed by the commands of a user."""

from __future__ import annotations

import json
from pathlib import Path

from settings import RESENC_PLANS, STOCK_PLANS, Settings

from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.nnunet_commands import (
    environment,
    run_command,
)

DATASET_ID = 18
NAME = "Dataset018_ISLES2018"
# Constants of the phantom's modules that a changed phantom has in place of its own.
PHYSICS: dict[str, dict[str, float]] = {
    "default": {},
    "changed": {
        "acquisition.CTP_NOISE_HU_MM": 14.0,
        "acquisition.NCCT_NOISE_HU_MM": 10.0,
        "acquisition.KERNEL_SIGMA_MM": 1.1,
        "hemodynamics.DISPERSION_PER_DELAY": 0.35,
        "hemodynamics.NO_PRECONTRAST_PROBABILITY": 0.15,
    },
}
_WRITE_PHANTOM = """
import importlib, json, sys
from nnunetv2_strokesynth.cli import main
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.partition(".")
    module = importlib.import_module(f"nnunetv2_strokesynth.phantom.{module}")
    assert hasattr(module, constant), name
    setattr(module, constant, value)
sys.exit(main())
"""


def make_data(root: Path, settings: Settings) -> None:
    """Phantom, conversion, planning and preprocessing below ``root``; what is there is kept."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    phantom = ["strokesynth", "phantom", str(root / "phantom"), "--overwrite"]
    phantom += f"--cases {settings.cases} --test-cases {settings.test_cases}".split()
    phantom += f"--size {settings.size} --seed {settings.seed}".split()
    changed = ["python", "-c", _WRITE_PHANTOM, json.dumps(PHYSICS[settings.physics]), *phantom[1:]]
    convert = ["strokesynth", "convert", "isles2018", str(root / "phantom"), "-d", str(DATASET_ID)]
    plan = ["nnUNetv2_plan_and_preprocess", "-c", "2d", "-np", "2", "-npfp", "2"]
    further = ["nnUNetv2_plan_experiment", "-pl", "nnUNetPlannerResEncM"]
    steps = {
        "phantom": changed if PHYSICS[settings.physics] else phantom,
        "convert": convert,
        "plan": [*plan, "-d", str(DATASET_ID)],
        "plan_resenc": [*further, "-d", str(DATASET_ID)],
    }
    for name, command in steps.items():
        done = root / "logs" / f"{name}.done"
        if not done.is_file():
            log_file = root / "logs" / f"{name}.txt"
            run_command(command, environment(root), log_file=log_file, shown={})
            done.touch()
    for name in (STOCK_PLANS, RESENC_PLANS):
        narrow_plans(root, name, settings)


def truth_folder(root: Path) -> Path:
    """Of the held-out scans: ``labels`` and ``dwi``."""
    return root / "phantom" / "TESTING_truth"


def plans_name(name: str) -> str:
    """Of the arena's version of nnU-Net's plans."""
    return f"{name}Arena"


def narrow_plans(root: Path, name: str, settings: Settings) -> None:
    """Write plans with the arena's batch size and width; the preprocessed data are the same."""
    folder = root / "nnUNet_preprocessed" / NAME
    plans = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    plans["plans_name"] = plans_name(name)
    planned = plans["configurations"]["2d"]
    planned["batch_size"] = settings.batch_size
    kwargs = planned["architecture"]["arch_kwargs"]
    kwargs["features_per_stage"] = [
        max(1, round(settings.features * features)) for features in kwargs["features_per_stage"]
    ]
    write_json(folder / f"{plans_name(name)}.json", plans)
