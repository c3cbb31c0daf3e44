"""Folds that start at the same moment make the same targets at the same time."""

import time

from nnunetv2_strokesynth.dataloading.targets import targets_folder


def test_three_trainings_at_once(target_inputs, children, digests, leftovers, tmp_path):
    go = tmp_path / "go"
    together, alone = target_inputs.folder("together"), target_inputs.folder("alone")
    ready = [tmp_path / f"ready_{number}" for number in range(3)]
    processes = [target_inputs.start(together, ready=path, go=go) for path in ready]
    while not all(path.exists() for path in ready):
        assert all(process.poll() is None for process in processes), target_inputs.log.read_text()
        time.sleep(0.01)
    go.touch()
    for process in processes:
        children.finish(process, target_inputs.log)
    children.finish(target_inputs.start(alone, ready=ready[0], go=go), target_inputs.log)
    expected = digests(targets_folder(alone))
    assert len(expected) == 20
    assert digests(targets_folder(together)) == expected
    assert leftovers(together.parent) == []
