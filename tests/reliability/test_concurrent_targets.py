"""Folds that start at the same moment make the same targets and cases at the same time."""

import time

import pytest

from nnunetv2_strokesynth.dataloading.targets import targets_folder


@pytest.mark.parametrize("what", [pytest.param("targets", marks=pytest.mark.long), "cases"])
def test_three_trainings_at_once(what, target_inputs, children, digests, leftovers, tmp_path):
    go = tmp_path / "go"
    together, alone = target_inputs.folder("together"), target_inputs.folder("alone")
    start, n_files, folder = target_inputs.start, 20, targets_folder
    if what == "cases":  # image, labels, properties and record of each of the ten scans; a folder
        start, n_files, folder = target_inputs.start_cases, 41, lambda path: path
    ready = [tmp_path / f"ready_{number}" for number in range(3)]
    processes = [start(together, ready=path, go=go) for path in ready]
    while not all(path.exists() for path in ready):
        assert all(process.poll() is None for process in processes), target_inputs.log.read_text()
        time.sleep(0.01)
    go.touch()
    for process in processes:
        children.finish(process, target_inputs.log)
    children.finish(start(alone, ready=ready[0], go=go), target_inputs.log)
    expected = digests(folder(alone))
    assert len(expected) == n_files
    assert digests(folder(together)) == expected
    assert leftovers(together.parent) == []
