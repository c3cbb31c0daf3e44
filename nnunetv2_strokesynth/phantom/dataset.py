"""A phantom data set on disk: settings, resumption, parallel simulation."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from itertools import permutations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.process_pool import map_cases
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.phantom.atlas import load_atlas
from nnunetv2_strokesynth.phantom.isles2017_layout import ISLES2017
from nnunetv2_strokesynth.phantom.isles2018_layout import ISLES2018
from nnunetv2_strokesynth.phantom.isles2024_defects import DEFECTS, describe_defects
from nnunetv2_strokesynth.phantom.isles2024_layout import ISLES2024
from nnunetv2_strokesynth.phantom.layout import Layout
from nnunetv2_strokesynth.phantom.marker import SETTINGS_FILE
from nnunetv2_strokesynth.phantom.patient import draw_patient
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS, Physics
from nnunetv2_strokesynth.phantom.plan import MIXED, PhantomSettings, ScanPlan
from nnunetv2_strokesynth.phantom.vendors import VENDORS, check_vendors

logger = logging.getLogger(__name__)

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (ISLES2018, ISLES2017, ISLES2024)}
_MIN_SIZE = 32
ORDERS = {MIXED} | {
    "".join(letters) for axes in permutations(("LR", "PA", "SI")) for letters in product(*axes)
}
"""The 48 orders of axes, and ``mixed``."""


class _Job(NamedTuple):
    root: Path
    split: int
    plan: ScanPlan
    settings: PhantomSettings
    physics: Physics


def simulate_scan(
    plan: ScanPlan, layout: Layout = ISLES2018, physics: Physics = DEFAULT_PHYSICS
) -> NamedTuple:
    """The scan that a plan describes, as the layout simulates it; depends on nothing else."""
    patient_rng = np.random.default_rng(np.random.SeedSequence(plan.patient_seed))
    scan_rng = np.random.default_rng(np.random.SeedSequence(plan.scan_seed))
    physics = layout.of_study(physics)
    patient = draw_patient(patient_rng, plan.slabs, physics)
    scanner = {"vendor": VENDORS[plan.vendor]} if plan.vendor else {}
    return layout.simulate(
        patient, plan.slab, scan_rng, timetable=plan.timetable, physics=physics, **scanner
    )


def _run_job(job: _Job) -> None:
    layout = LAYOUTS[job.settings.layout]
    scan = simulate_scan(job.plan, layout, job.physics)
    layout.write_scan(job.root, job.split, job.plan, scan, job.settings)


def changed_parameters(physics: Physics) -> dict[str, object]:
    """The parameters that differ from the default: ``ct.ctp_noise_hu_mm`` -> value."""
    return dict(_changes(asdict(physics), asdict(DEFAULT_PHYSICS)))


def _changes(found: dict, default: dict) -> Iterator[tuple[str, object]]:
    for group, values in found.items():
        for name, value in values.items():
            if value != default[group][name]:
                yield f"{group}.{name}", value


def _stored_settings(settings: PhantomSettings, physics: Physics) -> dict[str, object]:
    """``settings`` of ``phantom.json``; of the physics only what is not the default."""
    layout = LAYOUTS[settings.layout]
    values = settings._asdict()
    stored = {"version": layout.version, **{name: values[name] for name in layout.settings}}
    if not settings.defects:  # as phantoms have it that know of none
        stored.pop("defects", None)
    changed = changed_parameters(physics)
    return json.loads(json.dumps(stored | ({"physics": changed} if changed else {})))


def _found_settings(root: Path) -> dict[str, object]:
    """The settings of the phantom in ``root``; those of ISLES 2018's layout do not name it."""
    path, way_out = root / SETTINGS_FILE, "remove the folder, or choose another"
    settings = read_json_object(path, way_out=way_out).get("settings")
    if not isinstance(settings, dict):
        raise ValueError(f"{path} holds no settings of a phantom; {way_out}")
    found = {"layout": ISLES2018.name, **settings}
    if found["layout"] not in list(LAYOUTS):
        raise ValueError(f"{path} names the layout {found['layout']}; {way_out}")
    return found


def _check_existing(root: Path, layout: Layout, wanted: dict[str, object]) -> None:
    """Check that ``root`` is empty or holds a phantom that was made with the same settings.

    Raises:
        ValueError: it holds something that this run must not be mixed with.
    """
    path = root / SETTINGS_FILE
    if not path.exists():
        if root.exists() and any(root.iterdir()):
            raise ValueError(
                f"{root} exists, is not empty and is not a phantom; choose another folder"
            )
        return
    default = {"layout": layout.name, "physics": "the default", "defects": False}
    found, wanted = {**default, **_found_settings(root)}, {**default, **wanted}
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        changes = ", ".join(f"{k} is {found.get(k)}, asked for {wanted[k]}" for k in differing)
        raise ValueError(
            f"{root} holds a phantom of other settings ({changes}); choose another folder or pass "
            "--overwrite"
        )


def _remove_phantom(root: Path) -> None:
    if not (root / SETTINGS_FILE).exists():
        return
    layout = LAYOUTS[_found_settings(root)["layout"]]
    (root / SETTINGS_FILE).unlink()
    for name in layout.folders:
        shutil.rmtree(root / name, ignore_errors=True)


def _describe(
    root: Path,
    settings: PhantomSettings,
    stored: dict[str, object],
    *,
    plans: list[list[ScanPlan]],
    complete: bool,
) -> dict:
    """Content of ``phantom.json``."""
    layout, splits = LAYOUTS[settings.layout], {}
    for split, name in enumerate(layout.splits):
        splits[name] = [
            _describe_scan(root, split, plan, layout=layout, complete=complete)
            | _describe_orders(layout.orders(plan, settings))
            for plan in plans[split]
        ]
    names = {plan.number: layout.case_name(0, plan.number) for plan in plans[0]}
    defects = {"defects": describe_defects(names)} if settings.defects else {}
    return {
        "settings": stored,
        **defects,
        "complete": complete,
        "licence": "simulated data; anatomy from MNI ICBM152 2009a as shipped by nilearn",
        "cases": splits,
    }


def _describe_orders(orders: dict[str, str]) -> dict[str, dict[str, str]]:
    return {"orientation": orders} if orders else {}


def _describe_scanner(plan: ScanPlan) -> dict[str, object]:
    """The vendor, and when it takes the frames: one step, or those before and after a change."""
    if not plan.vendor:
        return {}
    steps = sorted(set(np.diff(plan.timetable.times_s).tolist()))
    shuttle = max(plan.timetable.slice_offset_s, default=0.0)
    return {"vendor": plan.vendor, "frame_steps_s": steps, "shuttle_offset_s": shuttle}


def _describe_scan(
    root: Path, split: int, plan: ScanPlan, *, layout: Layout, complete: bool
) -> dict:
    grid = plan.grid
    scan = {
        "case": layout.case_name(split, plan.number),
        "patient": plan.patient,
        "slab": "AB"[plan.slab],
        "slices": grid.n_slices,
        "frames": plan.n_frames,
        **_describe_scanner(plan),
        "pixel_mm": grid.pixel_mm,
        "slice_mm": grid.slice_mm,
    }
    if complete:
        scan["lesion_volume_ml"] = layout.lesion_volume_ml(root, split, plan.number)
    return scan


def write_phantom(
    root: Path,
    n_train: int,
    n_test: int,
    settings: PhantomSettings,
    *,
    physics: Physics = DEFAULT_PHYSICS,
    workers: int = 1,
    overwrite: bool = False,
) -> None:
    """Write a phantom data set, or the scans that are still missing in it.

    Args:
        root: the folders of the layout (such as TRAINING, TESTING, TESTING_truth) and phantom.json
            are written here.
        n_train, n_test: scans; two consecutive scans of a two-slab patient share the patient.
        settings: which scans there are, and how they are laid out.
        physics: how they are simulated; ``phantom.json`` lists what is not the default.
        workers: processes. The bytes do not depend on them.
        overwrite: first delete a phantom that is there.

    Raises:
        ValueError: a setting is out of range, nilearn is missing, or ``root`` holds other data.
    """
    _check_settings(n_train, n_test, settings, workers)
    settings = _in_order(settings)
    root = Path(root)
    layout, stored = LAYOUTS[settings.layout], _stored_settings(settings, physics)
    if overwrite:
        _remove_phantom(root)
    _check_existing(root, layout, stored)
    load_atlas()  # before anything is written: it names the package that is missing
    plans = layout.plan(settings, n_train, n_test)
    jobs = [
        _Job(root, split, plan, settings, physics)
        for split in (0, 1)
        for plan in plans[split]
        if not layout.is_written(root, split, plan.number)
    ]
    done = n_train + n_test - len(jobs)
    if done:
        logger.info("%d of %d scans are there already", done, n_train + n_test)
    description = _describe(root, settings, stored, plans=plans, complete=False)
    write_json(root / SETTINGS_FILE, description)
    map_cases(_run_job, jobs, workers=workers, description="phantom", unit="scan")
    description = _describe(root, settings, stored, plans=plans, complete=True)
    write_json(root / SETTINGS_FILE, description)


def _in_order(settings: PhantomSettings) -> PhantomSettings:
    """The vendors in the order of ``VENDORS``, so that the user's order does not matter."""
    train, test = (settings.vendors_of(split) for split in (0, 1))
    return settings._replace(vendors=train, test_vendors=() if test == train else test)


def _check_settings(n_train: int, n_test: int, settings: PhantomSettings, workers: int) -> None:
    lowest = {
        "--cases": (n_train, 1),
        "--test-cases": (n_test, 0),
        "--size": (settings.size, _MIN_SIZE),
        "--seed": (settings.seed, 0),
        "--workers": (workers, 1),
        "--max-slices": (1 if settings.max_slices is None else settings.max_slices, 1),
    }
    if settings.orientation not in ORDERS:
        raise ValueError(
            f"--orientation {settings.orientation}: expected {MIXED}, or an order of axes such as "
            "LPS, LAS or RAS"
        )
    check_vendors("--vendors", settings.vendors)
    if settings.test_vendors:
        check_vendors("--test-vendors", settings.test_vendors)
    if settings.defects:
        if "defects" not in LAYOUTS[settings.layout].settings:
            raise ValueError(f"--defects: those of {settings.layout} are not known; use isles2024")
        if not settings.dwi:
            raise ValueError("--defects contradicts --no-dwi: two of the defects are of the DWI")
        lowest["--cases with --defects"] = (n_train, len(DEFECTS) + 1)
    for option, (value, least) in lowest.items():
        if value < least:
            raise ValueError(f"{option} must be at least {least}, found {value}")
