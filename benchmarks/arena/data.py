"""The arena's data: a phantom that is converted, planned and preprocessed as a user does it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.arena.settings import RESENC_PLANS, STOCK_PLANS, Settings
from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.nnunet_commands import (
    environment,
    run_command,
)
from nnunetv2_strokesynth.phantom.dataset import write_phantom
from nnunetv2_strokesynth.phantom.marker import SETTINGS_FILE
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS, Physics
from nnunetv2_strokesynth.phantom.plan import PhantomSettings

DATASET_ID = 18
NAME = "Dataset018_ISLES2018"
WORKERS = max(2, os.cpu_count() or 1)  # the bytes do not depend on it


def _changed_physics() -> Physics:
    """More noise, a wider kernel, more dispersion, and more scans that begin in the bolus."""
    return replace(
        DEFAULT_PHYSICS,
        ct=replace(
            DEFAULT_PHYSICS.ct, ctp_noise_hu_mm=14.0, ncct_noise_hu_mm=10.0, kernel_sigma_mm=1.1
        ),
        bolus=replace(
            DEFAULT_PHYSICS.bolus, dispersion_per_delay=0.35, no_precontrast_probability=0.15
        ),
    )


PHYSICS: dict[str, Physics] = {"default": DEFAULT_PHYSICS, "changed": _changed_physics()}


def make_data(root: Path, settings: Settings) -> None:
    """Make phantom, conversion, plans and preprocessed data below ``root``; what exists is kept."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "logs").mkdir(exist_ok=True)
    _make_phantom(root, settings)
    dataset = ["-d", str(DATASET_ID)]
    convert = ["strokesynth", "convert", "isles2018", str(root / "phantom")]
    plan = ["nnUNetv2_plan_and_preprocess", "-c", "2d", "-np", str(WORKERS)]
    steps = {
        "convert": [*convert, *dataset, "--workers", str(WORKERS)],
        "plan": [*plan, *dataset],
        "plan_resenc": ["nnUNetv2_plan_experiment", "-pl", "nnUNetPlannerResEncM", *dataset],
    }
    for name, command in steps.items():
        done = root / "logs" / f"{name}.done"
        if not done.is_file():
            log_file = root / "logs" / f"{name}.txt"
            run_command(command, environment(root), log_file=log_file, shown={})
            done.touch()
    for name in (STOCK_PLANS, RESENC_PLANS):
        narrow_plans(root, name, settings)


def _make_phantom(root: Path, settings: Settings) -> None:
    done = root / "logs" / "phantom.done"
    if done.is_file():
        return
    write_phantom(
        root / "phantom",
        settings.cases,
        settings.test_cases,
        PhantomSettings(
            size=settings.size,
            seed=settings.seed,
            vendors=settings.vendors,
            test_vendors=settings.test_vendors,
        ),
        physics=PHYSICS[settings.physics],
        workers=WORKERS,
        overwrite=True,
    )
    done.touch()


def held_out_vendors(root: Path) -> dict[str, str]:
    """Held-out scan as the converter names it -> vendor; empty for an earlier phantom."""
    return _held_out(root, "vendor")


def held_out_patients(root: Path) -> dict[str, str]:
    """Held-out scan as the converter names it -> patient, who may have two scans."""
    return _held_out(root, "patient")


def _held_out(root: Path, what: str) -> dict[str, str]:
    path = root / "phantom" / SETTINGS_FILE
    if not path.is_file():
        return {}
    scans = json.loads(path.read_text(encoding="utf-8"))["cases"]["TESTING"]
    return {
        f"test_{int(scan['case'].removeprefix('case_')):03d}": str(scan[what])
        for scan in scans
        if what in scan
    }


def held_out_groups(scans: Iterable[str], root: Path, settings: Settings) -> dict[str, set[str]]:
    """What a table is about -> the held-out scans of it.

    Scans of vendors that the training scans come from stand apart from those of vendors left out:
    methods are chosen on the former and reported on the latter. Without both, there is one group.
    """
    vendors = held_out_vendors(root)
    seen = {scan for scan in scans if vendors.get(scan, "") in settings.vendors}
    left_out = set(scans) - seen
    if not seen or not left_out or not settings.vendors:
        return {"All held-out scans": {*scans}}
    return {"Vendors seen in training": seen, "Vendors left out": left_out}


def truth_folder(root: Path) -> Path:
    """The folder with ``labels`` and ``dwi`` of the held-out scans."""
    return root / "phantom" / "TESTING_truth"


def brain_of(maps: Iterable[Path]) -> np.ndarray:
    """Where any of a converted scan's maps has a value, bool (Z, Y, X)."""
    return np.any([read_image(path).array != 0 for path in maps], axis=0)


def plans_name(name: str) -> str:
    """The name of the arena's version of nnU-Net's plans."""
    return f"{name}Arena"


def narrow_plans(root: Path, name: str, settings: Settings) -> None:
    """Write plans with the arena's batch size and width; the preprocessed data are the same."""
    folder = root / "nnUNet_preprocessed" / NAME
    plans = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    write_json(folder / f"{plans_name(name)}.json", narrowed(plans, plans_name(name), settings))


def narrowed(plans: dict, name: str, settings: Settings) -> dict:
    """Plans under another name, with the arena's batch size and width."""
    plans = deepcopy(plans) | {"plans_name": name}
    planned = plans["configurations"]["2d"]
    planned["batch_size"] = settings.batch_size
    kwargs = planned["architecture"]["arch_kwargs"]
    kwargs["features_per_stage"] = [
        max(1, round(settings.features * features)) for features in kwargs["features_per_stage"]
    ]
    return plans
