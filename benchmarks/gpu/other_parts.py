"""The parts beside the training steps: machine, schedule, switchable norm, loader, commands."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from benchmarks import inference, loader, schedule, switchable_norm
from benchmarks.gpu.names import COMPILED, EAGER, STOCK, WANG2020
from benchmarks.gpu.settings import Settings
from benchmarks.gpu.turns import Turn
from benchmarks.machine import machine_facts
from benchmarks.training_step import architecture
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.nnunet_commands import environment, run_command
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.trainers.environment import EPOCHS, ITERATIONS, VAL_ITERATIONS

LOADER_S = 4.0
SMI_FIELDS = "name,driver_version,memory.total,power.limit,clocks.max.sm"
FOLDS = 4


def measure_machine(turn: Turn, setting: Settings) -> None:
    """Names and versions."""
    facts = dict(machine_facts(setting.device))
    facts["gpus"] = torch.cuda.device_count()
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        facts["nvidia_smi"] = found.stdout.strip()
    turn.save(**facts)


def make_data(turn: Turn, setting: Settings) -> None:
    """Phantom, conversion, plans, preprocessed cases.

    The plans get what nnU-Net plans for ISLES 2018: for so few scans it would plan a batch of 2. So
    the trainings have the same steps as the measured systems, which have been compiled by then.
    """
    start = time.perf_counter()
    folder = data_folder(turn)
    options = {"cases": setting.cases, "max_slices": setting.max_slices, "folds": FOLDS}
    loader.make_data(folder, setting.size, workers=setting.workers, **options)
    plans_file = folder / "nnUNet_preprocessed" / inference.DATASET / "nnUNetPlans.json"
    plans = json.loads(plans_file.read_text(encoding="utf-8"))
    plans["configurations"]["2d"] |= {
        "batch_size": setting.batch,
        "patch_size": [setting.size, setting.size],
        "architecture": architecture(setting.width),
    }
    write_json(plans_file, plans)
    turn.save(make_s=time.perf_counter() - start, cases=setting.cases)


def data_folder(turn: Turn) -> Path:
    """Where the data and the models of all parts lie."""
    return turn.folder / "data"


def measure_schedule(turn: Turn, setting: Settings) -> None:
    """The paper's full schedule from the measured steps of its trainer, in minutes."""
    steps = schedule.schedule_steps(schedule.SCANS)
    turn.wait()
    found = json.loads((turn.folder / f"{WANG2020}.json").read_text(encoding="utf-8"))
    minutes = {
        mode: found[mode]["ms"] / 1000 * steps / 60
        for mode in (COMPILED, EAGER)
        if "ms" in found.get(mode, {})
    }
    turn.save(steps=steps, target_min=schedule.TARGET_MIN, **minutes)


def measure_norm(turn: Turn, setting: Settings) -> None:
    """Switchable norm with our backward and with autograd's, next to instance norm."""
    shapes = switchable_norm.SHAPES[-1:] if setting.small else switchable_norm.SHAPES
    cuda = setting.device.type == "cuda"
    runs = [(mode, shape) for mode in ((COMPILED, EAGER) if cuda else (EAGER,)) for shape in shapes]
    for mode, shape in runs:
        _norm_row(setting, mode, shape, repetitions=1)
    turn.wait()
    for mode, shape in runs:
        row = _norm_row(setting, mode, shape, repetitions=15)
        turn.save(rows=[*turn.result.get("rows", []), {"mode": mode, **row}])


def _norm_row(setting: Settings, mode: str, shape: tuple[int, ...], *, repetitions: int) -> dict:
    torch._dynamo.reset()
    half = setting.device.type == "cuda"  # what the convolution in front returns under autocast
    options = argparse.Namespace(
        device=setting.device.type,
        dtype="float16" if half else "float32",
        compile=mode == COMPILED,
        autograd=True,
        repetitions=repetitions,
        warmup=3,
    )
    return switchable_norm.measure_shape(shape, options)


def measure_loader(turn: Turn, setting: Settings) -> None:
    """Batches per second of nnU-Net's loader processes for each trainer, by wall time."""
    torch.set_num_threads(1)
    turn.wait()
    patch = (setting.size, setting.size)
    for name in ("StrokeSynthTrainer", STOCK, "StrokeSynthTrainer_NoDWI"):
        with (
            tempfile.TemporaryDirectory() as results,
            loader.nnunet_folders(data_folder(turn), Path(results), workers=setting.workers),
        ):
            cls = getattr(strokesynth_trainers, name)
            batches = loader.loader(cls, patch, batch_size=setting.batch)
            seconds: list[float] = []
            for _ in range(2 * setting.workers + 2):  # what has been loaded ahead
                next(batches)
            while sum(seconds) < (setting.step_s if setting.small else LOADER_S):
                start = time.perf_counter()
                next(batches)
                seconds.append(time.perf_counter() - start)
            batches._finish()
        rate = 1 / statistics.fmean(seconds)
        turn.save(
            workers=setting.workers,
            **{name: {"batches_per_s": rate, "images_per_s": rate * setting.batch}},
        )


def measure_training(turn: Turn, setting: Settings) -> None:
    """``nnUNetv2_train``: seconds of each epoch and of the whole command."""
    trainer = turn.name.removeprefix("train_")
    _train(turn, setting, trainer)


def measure_ddp(turn: Turn, setting: Settings) -> None:
    """``nnUNetv2_train -num_gpus 2``, where there are two."""
    if torch.cuda.device_count() < 2:
        turn.save(skipped=f"{torch.cuda.device_count()} GPU")
        return
    _train(turn, setting, "StrokeSynthTrainer", "-num_gpus", "2", fold="1")


def _train(turn: Turn, setting: Settings, trainer: str, *options: str, fold: str = "0") -> None:
    data = data_folder(turn)
    command = ["nnUNetv2_train", inference.DATASET_ID, "2d", fold, "-tr", trainer]
    command += ["-device", setting.device.type, *options]
    variables = environment(
        data,
        nnUNet_n_proc_DA=str(0 if setting.small else setting.workers),
        nnUNet_def_n_proc=str(setting.workers),
        **{EPOCHS: str(setting.epochs), ITERATIONS: str(setting.iterations), VAL_ITERATIONS: "5"},
    )
    log_file = data / "logs" / f"{turn.name}.txt"
    start = time.perf_counter()
    try:
        run_command(command, variables, log_file=log_file, shown={})
    finally:
        turn.save(
            whole_s=time.perf_counter() - start,
            epochs_s=epoch_seconds(log_file),
            iterations=setting.iterations,
            batch=setting.batch,
        )


def epoch_seconds(log_file: Path) -> list[float]:
    """What nnU-Net's log says of each finished epoch."""
    text = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else ""
    return [float(seconds) for seconds in re.findall(r"Epoch time: ([\d.]+) s", text)]


def measure_prediction(turn: Turn, setting: Settings) -> None:
    """``nnUNetv2_predict``: seconds for few cases and for more, and of one case more."""
    trainer = turn.name.removeprefix("predict_")
    data = data_folder(turn)
    found: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as work:
        scan = inference.largest_scan(data)
        prediction = inference.Setting(data, scan, setting.device, Path(work), 1)
        for count in setting.predicted:
            found[count] = inference.predict_s(prediction, trainer, count)
            turn.save(seconds={str(key): value for key, value in found.items()})
    start_s, case_s = inference.line(found)
    turn.save(start_up_s=start_s, case_s=case_s)
