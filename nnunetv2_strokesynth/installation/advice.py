"""What is wrong with an installation and what to do, from the facts alone."""

from __future__ import annotations

from typing import Any

from nnunetv2_strokesynth.nnunet_commands import EXT_TRAINER

OLDEST, TOO_NEW = (2, 8), (2, 9)  # of nnunetv2, as in pyproject.toml


def problems(facts: dict[str, Any]) -> list[str]:
    """One sentence per problem; empty if nothing stands in the way of a training."""
    found = _of_packages(facts) + _of_folders(facts["folders"]) + _of_trainers(facts["trainers"])
    devices = facts["devices"]
    if devices["error"]:
        found.append(f"PyTorch does not start: {devices['error']}")
    elif devices["cuda_build"] and not devices["cuda"]:
        said = f" ({devices['warnings'][0]})" if devices["warnings"] else ""
        found.append(
            f"PyTorch is built for CUDA {devices['cuda_build']} and sees no GPU{said}: without one "
            "add `-device cpu`; with one, look at its driver (nvidia-smi) and CUDA_VISIBLE_DEVICES"
        )
    return found


def _of_packages(facts: dict[str, Any]) -> list[str]:
    missing = [name for name, version in facts["packages"].items() if version is None]
    found = [f"not installed: {', '.join(missing)}; install this package again"] if missing else []
    version = facts["packages"]["nnunetv2"]
    if version is not None and not OLDEST <= _numbers(version) < TOO_NEW:
        found.append(f"nnunetv2 is {version}, expected 2.8: `pip install 'nnunetv2>=2.8,<2.9'`")
    lacking = [name for name, path in facts["commands"].items() if path is None]
    if lacking:
        found.append(
            f"the commands {', '.join(lacking)} are neither beside this Python nor on the PATH; "
            "activate the environment that holds them"
        )
    return found


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def _of_folders(folders: dict[str, Any]) -> list[str]:
    found = []
    for name, folder in folders.items():
        if not folder["path"]:
            found.append(f"{name} is not set: `export {name}=/path/to/{name}`")
        elif not folder["exists"]:
            found.append(f"{name}: {folder['path']} is no folder; make it, or name another")
        elif not folder["writable"]:
            found.append(f"{name}: {folder['path']} cannot be written to")
    return found


def _of_trainers(trainers: dict[str, Any]) -> list[str]:
    found = [
        f"{EXT_TRAINER} names {path}, which is no folder"
        for path, exists in trainers["named_folders"].items()
        if not exists
    ]
    if trainers["error"]:
        found.append(f"nnU-Net could not be asked for our trainers: {trainers['error']}")
    elif trainers["found_as"] is None:
        found.append(
            "nnU-Net does not find our trainers: "
            f'`export {EXT_TRAINER}="$(strokesynth trainers-dir)"`'
        )
    return found
