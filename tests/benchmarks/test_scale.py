"""Cost against the number of cases, and memory: lines, copies and peaks known by hand."""

import math
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from benchmarks import converter, scale
from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import find_scans
from nnunetv2_strokesynth.phantom.dataset import write_phantom
from nnunetv2_strokesynth.phantom.plan import PhantomSettings

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_line_is_predicted_exactly():
    seconds = {n: 4 + 0.5 * n for n in (10, 40, 100, 1000)}
    rows = scale.linear_rows("convert", seconds)
    assert [row["claim"].split()[1] for row in rows] == ["100", "1000"]
    assert [row["ours"] for row in rows] == [54, 504]
    assert [row["yardstick"] for row in rows] == pytest.approx([54, 504])
    assert [row["ratio"] for row in rows] == pytest.approx([1, 1])


def test_a_quadratic_cost_misses_the_target():
    (row,) = scale.linear_rows("convert", {10: 1.0, 20: 4.0, 100: 100.0})
    assert row["yardstick"] == pytest.approx(28)  # 1 s and 0.3 s for each of 90 more
    assert row["ratio"] > scale.TARGET


def test_the_line_goes_through_the_smallest_and_the_last_before():
    seconds = {5: 1.0, 10: 9.0, 25: 5.0, 45: 0.0}
    assert scale.predicted(seconds, 45) == pytest.approx(9)  # 10 does not count
    assert scale.predicted(seconds, 25) == pytest.approx(33)


def test_one_smaller_size_is_no_line():
    with pytest.raises(ValueError, match="20 scans: 1 smaller sizes measured"):
        scale.predicted({10: 1.0, 20: 2.0}, 20)


def test_linked_scans_are_those_of_a_smaller_phantom(tmp_path):
    settings = PhantomSettings(size=32, max_slices=1)
    for count in (1, 3):
        write_phantom(tmp_path / str(count), count, 0, settings)
    linked = scale.link_scans(tmp_path / "3", 1, tmp_path / "linked")
    (scan,), problems = find_scans(linked)
    (same,), _ = find_scans(tmp_path / "1")
    assert not problems
    assert scan.case_id == "case_001"
    assert scan.files.keys() == same.files.keys()
    for name, path in scan.files.items():
        assert path.read_bytes() == same.files[name].read_bytes(), name


def test_copies_keep_target_and_properties_together(tmp_path):
    preprocessed = tmp_path / "few" / "nnUNet_preprocessed" / "Dataset018" / "plans_2d"
    targets = tmp_path / "few" / "nnUNet_raw" / "Dataset018" / "targetsTr"
    for folder in (preprocessed, targets):
        folder.mkdir(parents=True)
    for name in ("a", "b"):
        (preprocessed / f"{name}.pkl").write_text(name)
        (targets / f"{name}.nii.gz").write_text(name)
    raw, copies = tmp_path / "raw", tmp_path / "copies"
    case_ids = scale.copy_cases(tmp_path / "few", "plans_2d", 3, raw, copies)
    assert len(set(case_ids)) == 3
    assert [(copies / f"{case}.pkl").read_text() for case in case_ids] == ["a", "b", "a"]
    assert [(raw / f"{case}.nii.gz").read_text() for case in case_ids] == ["a", "b", "a"]


def test_processor_time_includes_the_commands_own_processes(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {busy!r}])"
    assert scale.command_seconds(["python", "-S", "-c", parent], tmp_path).processor >= 0.4


def test_two_workers_are_not_measured_on_one_core(monkeypatch, tmp_path):
    monkeypatch.setattr(scale, "usable_cores", lambda: 1)
    row = scale.workers_row(tmp_path / "no phantom", 100, tmp_path)
    assert math.isnan(row["ratio"])


def test_two_workers_are_compared_with_half_of_one(monkeypatch, tmp_path):
    walls = {1: 10.0, 2: 6.0}
    monkeypatch.setattr(scale, "usable_cores", lambda: 2)
    monkeypatch.setattr(
        scale, "conversion", lambda *_, workers: scale.Seconds(walls[workers], math.nan)
    )
    row = scale.workers_row(tmp_path, 100, tmp_path)
    assert (row["ours"], row["yardstick"], row["ratio"]) == (6.0, 5.0, 1.2)


@linux
def test_peak_is_what_the_second_job_adds():
    """The first job takes more, as the imports do; its peak must not hide the second's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        found = pool.submit(converter.peak_mb, np.ones, (40_000_000,), (8_000_000,)).result()
    assert found == pytest.approx(64, abs=4)


def hold(numbers: int) -> None:
    """A job that a sampler can see even on a busy machine."""
    held = np.ones(numbers)
    time.sleep(1.0)
    assert len(held) == numbers


@linux
def test_sampled_peak_is_what_the_job_held():
    """In a process of its own: what other tests leave behind is freed whenever it likes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        found = pool.submit(converter._sampled_peak_mb, hold, (8_000_000,)).result()
    assert found == pytest.approx(64, abs=4)
