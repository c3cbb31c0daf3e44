"""One small run of the whole product, shared by every test that needs a trained model."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from nnunetv2_strokesynth.nnunet_commands import command_path, environment, trainers_folder

# Before nnU-Net is imported anywhere: it reads these once.
os.environ.setdefault("nnUNet_n_proc_DA", "0")
os.environ.setdefault("nnUNet_def_n_proc", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("nnUNet_extTrainer", str(trainers_folder()))

DATASET = "Dataset018_ISLES2018"
FURTHER_DATA = {"real_dwi": (19, "ISLES2018_DWI"), "song2018": (20, "ISLES2018_SONG")}
MODEL = "StrokeSynthTrainer__nnUNetPlans__2d"


class Pipeline(NamedTuple):
    """A finished demo run: two folds of one short epoch each."""

    out: Path
    console: str

    @property
    def raw(self) -> Path:
        return self.out / "nnUNet_raw" / DATASET

    @property
    def preprocessed(self) -> Path:
        return self.out / "nnUNet_preprocessed" / DATASET

    @property
    def model(self) -> Path:
        return self.out / "nnUNet_results" / DATASET / MODEL

    def run(
        self, *command: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess:
        """Run a console script with nnU-Net's folders set to this run's."""
        result = subprocess.run(
            [command_path(command[0]), *command[1:]],
            env=environment(self.out, **variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            pytest.fail(f"{' '.join(command)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
        return result


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory) -> Pipeline:
    """Phantom, conversion, planning, two folds, prediction: `strokesynth demo`, small.

    While working on the tests, STROKESYNTH_TEST_DEMO names a folder that keeps the run.
    """
    kept = os.environ.get("STROKESYNTH_TEST_DEMO")
    out = Path(kept) if kept else tmp_path_factory.mktemp("demo")
    small = "--cases 10 --test-cases 2 --size 64 --folds 2 --epochs 1 --iterations 2".split()
    result = subprocess.run(
        [command_path("strokesynth"), "demo", str(out), *small, "-device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        logs = "\n".join(path.read_text()[-3000:] for path in out.glob("logs/*.txt"))
        pytest.fail(f"demo failed\n{result.stdout}\n{result.stderr}\n{logs}")
    return Pipeline(out, result.stdout)


@pytest.fixture(scope="session")
def data_sets(pipeline) -> dict[str, int]:
    """The phantom converted with every preset, planned and preprocessed: id by preset."""
    phantom = str(pipeline.out / "ISLES2018_phantom")
    for preset, (number, name) in FURTHER_DATA.items():
        folder = f"Dataset{number:03d}_{name}"
        if (pipeline.out / "nnUNet_preprocessed" / folder / "nnUNetPlans_2d").is_dir():
            continue
        options = f"-d {number} --name {name} --preset {preset} --folds 2 --workers 1".split()
        pipeline.run("strokesynth", "convert", "isles2018", phantom, *options)
        plan = f"-d {number} -c 2d -np 2 -npfp 2".split()
        pipeline.run("nnUNetv2_plan_and_preprocess", *plan, nnUNet_n_proc_DA="1")
    return {"wang2020": 18, **{preset: number for preset, (number, _) in FURTHER_DATA.items()}}


@pytest.fixture
def nnunet_folders(pipeline, tmp_path, monkeypatch) -> Pipeline:
    """The pipeline's data with results of its own, for trainings inside the test process."""
    results = tmp_path / "nnUNet_results"
    results.mkdir()
    for name, folder in (
        ("nnUNet_raw", pipeline.out / "nnUNet_raw"),
        ("nnUNet_preprocessed", pipeline.out / "nnUNet_preprocessed"),
        ("nnUNet_results", results),
    ):
        monkeypatch.setenv(name, str(folder))
    yield pipeline
    shutil.rmtree(results)
