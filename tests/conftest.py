"""One small run of the whole product, shared by every test that needs a trained model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from warm_commands import WarmCommands

from nnunetv2_strokesynth.nnunet_commands import (
    command_path,
    environment,
    trainers_folder,
)

# Benchmarks are not installed: the checkout goes to the end of the search path. At the front, its
# nnunetv2_strokesynth would hide the installed one.
sys.path.append(str(Path(__file__).parents[1]))

# Fixtures that tests of several folders share; ``tests/support`` is on pytest's path.
pytest_plugins = [
    "network_architectures",
    "scan_files",
    "ctp_head",
    "fake_slurm",
    "report_files",
    "scan_pages",
    "reproduction_world",
    "volume_files",
]

# The same draws in every run, and none is refused because the machine is busy.
settings.register_profile(
    "same_draws", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same_draws")

# Before nnU-Net is imported anywhere: it reads these once.
os.environ.setdefault("nnUNet_n_proc_DA", "0")
os.environ.setdefault("nnUNet_def_n_proc", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("nnUNet_extTrainer", str(trainers_folder()))

DATASET = "Dataset018_ISLES2018"
FURTHER_DATA = {
    "real_dwi": (19, "ISLES2018_DWI"),
    "song2018": (20, "ISLES2018_SONG"),
    "clerigues2019": (21, "ISLES2018_CLERIGUES"),
}
MRI_DATA = (17, "ISLES2017")
MODEL = "StrokeSynthTrainer__nnUNetPlans__2d"


def pytest_collection_modifyitems(items):
    """Modules with tests of the trained pipeline come first, each module in one piece.

    Two workers begin with a half each: the second need not wait until the first has trained.
    """
    first = {item.path for item in items if "pipeline" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in first)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """``-n 2``: a half of the tests for each worker, and whoever is done takes from the other.

    Where tests are handed out in advance, one worker waits for minutes at the end.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


class Pipeline(NamedTuple):
    """A finished demo run: two folds of one short epoch each."""

    out: Path
    console: str
    warm: WarmCommands

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
        result = self.warm.run(list(command), environment(self.out, **variables))
        if check and result.returncode:
            pytest.fail(f"{' '.join(command)}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
        return result


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """One folder for all processes of a test run; whoever comes first fills it.

    While working on the tests, STROKESYNTH_TEST_DEMO names a folder that is kept.
    """
    kept = os.environ.get("STROKESYNTH_TEST_DEMO")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        return Path(kept)
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> WarmCommands:
    """Runs console scripts in a process that has imported nnU-Net already."""
    commands = WarmCommands(tmp_path_factory.mktemp("warm") / "log.txt")
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def pipeline(shared_folder, warm) -> Pipeline:
    """Phantom, conversion, planning, two folds, prediction: `strokesynth demo`, small."""
    out, console = shared_folder / "demo", shared_folder / "demo.txt"
    with FileLock(shared_folder / "demo.lock"):
        if not console.is_file():
            console.write_text(_run_demo(out))
    return Pipeline(out, console.read_text(), warm)


def _run_demo(out: Path) -> str:
    small = "--cases 10 --test-cases 2 --size 64 --max-slices 8".split()
    small += "--folds 2 --epochs 1 --iterations 2".split()
    result = subprocess.run(
        [command_path("strokesynth"), "demo", str(out), *small, "-device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        logs = "\n".join(path.read_text()[-3000:] for path in out.glob("logs/*.txt"))
        pytest.fail(f"demo failed\n{result.stdout}\n{result.stderr}\n{logs}")
    return result.stdout


@pytest.fixture(scope="session")
def data_sets(pipeline, shared_folder) -> dict[str, int]:
    """The phantoms converted with every preset, planned and preprocessed: id by preset.

    That of ``wang2020`` is also preprocessed for 3d_fullres.
    """
    numbers = {"wang2020": 18, "isles2017": MRI_DATA[0]}
    numbers |= {preset: number for preset, (number, _) in FURTHER_DATA.items()}
    with FileLock(shared_folder / "data_sets.lock"):
        finished = shared_folder / "data_sets.txt"
        if not finished.is_file():
            _make_data_sets(pipeline, [n for p, n in numbers.items() if p != "wang2020"])
            finished.touch()
    return numbers


def _make_data_sets(pipeline: Pipeline, new: list[int]) -> None:
    phantom = str(pipeline.out / "ISLES2018_phantom")
    for preset, (number, name) in FURTHER_DATA.items():
        options = f"-d {number} --name {name} --preset {preset} --folds 2 --workers 1".split()
        pipeline.run("strokesynth", "convert", "isles2018", phantom, *options)
    mri = str(pipeline.out / "ISLES2017_phantom")
    small = "--layout isles2017 --cases 6 --size 64 --max-slices 3 --seed 17 --workers 2".split()
    pipeline.run("strokesynth", "phantom", mri, *small)
    number, name = MRI_DATA
    options = f"-d {number} --name {name} --folds 2 --workers 1".split()
    pipeline.run("strokesynth", "convert", "isles2017", mri, *options)
    options = [*"-c 2d -np 2 -d".split(), *map(str, new)]
    pipeline.run("nnUNetv2_plan_and_preprocess", *options, nnUNet_n_proc_DA="1")
    volumes = "-d 18 -c 3d_fullres -np 2".split()
    pipeline.run("nnUNetv2_preprocess", *volumes, nnUNet_n_proc_DA="1")


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
