"""Versions, devices, folders and trainers of this installation, as one dictionary.

Nothing here raises: what cannot be found out is None or an ``error``. Nothing but the standard
library is imported, so that it also runs where PyTorch is broken.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from nnunetv2_strokesynth import __version__
from nnunetv2_strokesynth.nnunet_commands import (
    EXT_TRAINER,
    FOLDER_VARIABLES,
    command_path,
    trainers_folder,
)

PACKAGES = (
    *("nnunetv2", "torch", "torchvision", "SimpleITK", "numpy", "scipy", "nibabel", "pydicom"),
    *("pandas", "scikit-image", "matplotlib", "batchgenerators", "batchgeneratorsv2", "acvl-utils"),
    *("dynamic-network-architectures", "blosc2"),
)
# The extras that a user installs: what their packages are called when they are imported.
EXTRAS = {"demo": ("nilearn",), "dicom": ("highdicom",), "cluster": ("submitit",)}
COMMANDS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")
PREFIXES = ("strokesynth_", "nnUNet_", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "SLURM_JOB_ID")
GB = 1e9
PROBE_LIMIT_S = 180
# Without the working directory on the search path: a folder `torch` in it is not PyTorch.
_PROBE = (
    "import sys; sys.path[:] = [path for path in sys.path if path]; "
    "from nnunetv2_strokesynth.installation.probe import main; main()"
)
Facts = dict[str, object]


def all_facts() -> Facts:
    """Everything; ``docs/reference/info.md`` explains the keys."""
    answers = probed()
    return {
        "strokesynth": __version__,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "system": system(),
        "packages": {name: version(name) for name in PACKAGES},
        "extras": {name: all(map(is_importable, names)) for name, names in EXTRAS.items()},
        "commands": {name: path_of_command(name) for name in COMMANDS},
        "devices": answers["devices"],
        "folders": {name: folder(os.environ.get(name)) for name in FOLDER_VARIABLES},
        "trainers": {**trainer_folders(), **answers["trainers"]},
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(PREFIXES)},
    }


def system() -> Facts:
    """Operating system, processor cores and memory."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "os": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "memory_gb": memory_gb(),
    }


def memory_gb() -> float | None:
    """The machine's memory, or the container's limit if that is less; None if unknown (Windows)."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        limit = ""
    return round(min(total, int(limit) if limit.isdigit() else total) / GB, 1)


def version(name: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return metadata.version(name)
    except Exception:  # broken metadata may raise anything
        return None


def is_importable(name: str) -> bool:
    """Whether a package is there, without importing it."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def path_of_command(name: str) -> str | None:
    """The script that runs; None if there is none."""
    try:
        return command_path(name)
    except (OSError, ValueError):  # ValueError: this interpreter has no path
        return None


def folder(name: str | None) -> Facts:
    """One of nnU-Net's folders: set? there? writable? how much room?"""
    known: Facts = {"path": name, "exists": False, "writable": False, "free_gb": None}
    if not name:
        return known
    try:
        path = Path(name)
        known["exists"] = path.is_dir()
        known["writable"] = path.is_dir() and os.access(path, os.W_OK | os.X_OK)
        nearest = next(one for one in (path, *path.absolute().parents) if one.is_dir())
        known["free_gb"] = round(shutil.disk_usage(nearest).free / GB, 1)
    except (OSError, ValueError, StopIteration) as error:
        known["error"] = " ".join(str(error).split())
    return known


def trainer_folders() -> Facts:
    """What ``nnUNet_extTrainer`` names, and whether our folder is in it."""
    ours = str(trainers_folder())
    named = [path for path in os.environ.get(EXT_TRAINER, "").split(os.pathsep) if path.strip()]
    return {
        "our_folder": ours,
        "named_folders": {path: folder(path)["exists"] for path in named},
        "is_named": any(_same(path, ours) for path in named),
    }


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def probed(limit_s: float = PROBE_LIMIT_S) -> dict[str, Facts]:
    """``probe.main`` in a process of its own, with this process's environment as it is."""
    try:
        found = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
        )
        return json.loads(found.stdout.decode("utf-8", "replace").splitlines()[-1])
    except subprocess.TimeoutExpired:
        error = f"PyTorch and nnU-Net had not started after {limit_s:g} s"
    except OSError as failure:
        error = f"{sys.executable} cannot be started: {' '.join(str(failure).split())}"
    except (IndexError, ValueError):  # no line, or no JSON: the process ended early
        said = found.stderr.decode("utf-8", "replace").strip().splitlines() or ["no output"]
        error = f"a process that imports them ended with exit code {found.returncode}: {said[-1]}"
    return {"devices": {"error": error}, "trainers": {"error": error}}
