"""Prediction next to its passes: lines and passes known by hand, commands that do nothing."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from benchmarks import inference

CPU = torch.device("cpu")


class Recorder(torch.nn.Module):
    """One logit per voxel; keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.given: list[torch.Tensor] = []

    def forward(self, x):
        self.given.append(x.clone())
        return x[:, :1].clone()


def predictor_of(image: torch.Tensor, patch_size: tuple[int, int]) -> nnUNetPredictor:
    """nnU-Net's, whose preprocessing gives ``image`` and whose network records."""
    predictor = nnUNetPredictor(device=CPU, allow_tqdm=False)
    preprocessor = SimpleNamespace(run_case=lambda *_: (image.numpy(), None, {}))
    predictor.configuration_manager = SimpleNamespace(
        patch_size=patch_size, preprocessor_class=lambda verbose: preprocessor
    )
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=1)
    predictor.network, predictor.allowed_mirroring_axes = Recorder(), (0, 1)
    return predictor


def setting_of(tmp_path):
    scan = SimpleNamespace(case_id="case_001", source="TRAINING/case_1")
    raw = tmp_path / "data" / "nnUNet_raw" / inference.DATASET / "imagesTr"
    raw.mkdir(parents=True)
    for case, channel in itertools.product(("case_001", "case_002"), range(2)):
        (raw / f"{case}_{channel:04d}.nii.gz").write_text(f"{case} {channel}")
    (tmp_path / "work").mkdir()
    return inference.Setting(tmp_path / "data", scan, CPU, tmp_path / "work", 1)


def test_tiles_are_those_that_nnunet_feeds_to_the_network():
    image = torch.arange(2 * 3 * 12 * 6, dtype=torch.float32).reshape(2, 3, 12, 6)
    predictor = predictor_of(image, (8, 8))  # two tiles a slice, padded from 6 to 8
    predictor.predict_sliding_window_return_logits(image)
    unmirrored = predictor.network.given[::4]
    tiles = inference.tiles_of(predictor, [])
    assert len(tiles) == len(unmirrored) == 6
    assert all(torch.equal(*pair) for pair in zip(tiles, unmirrored, strict=True))


@pytest.mark.parametrize(("axes", "mirrored"), [((0, 1), 4), ((1,), 2), (None, 1)])
def test_as_many_passes_as_nnunet_makes(monkeypatch, tmp_path, axes, mirrored):
    image = torch.rand(2, 3, 12, 6)
    predictor = predictor_of(image, (8, 8))
    predictor.allowed_mirroring_axes = axes
    predictor.predict_sliding_window_return_logits(image)
    assert len(predictor.network.given) == 6 * mirrored
    predictor.network.given.clear()
    monkeypatch.setattr(inference, "load_predictor", lambda *_, **__: predictor)
    setting = setting_of(tmp_path)
    count, run = inference.passes_of(setting, inference.OURS)
    assert count == 6 * mirrored
    predictor.network.given.clear()
    assert run() > 0
    assert len(predictor.network.given) == 6 * mirrored


def test_line_through_two_numbers_of_cases():
    assert inference.line({3: 10.0, 11: 26.0}) == (4.0, 2.0)
    assert inference.line({11: 26.0, 3: 10.0}) == (4.0, 2.0)


def test_a_line_that_falls_has_no_ratio():
    assert inference.row("x", 3.0, 2.0)["ratio"] == 1.5
    assert math.isnan(inference.row("x", -0.1, 2.0)["ratio"])


def test_calls_take_turns_and_the_median_counts():
    order, values = [], iter([5.0, 50.0, 1.0, 10.0, 2.0, 20.0])

    def call(key):
        order.append(key)
        return next(values)

    calls = {key: lambda key=key: call(key) for key in "ab"}
    assert inference.medians(calls, 3) == {"a": 2.0, "b": 20.0}
    assert "".join(order) == "ababab"


def test_cases_are_copies_of_the_scan_by_name_only(tmp_path):
    setting = setting_of(tmp_path)
    folder = [inference.link_cases(setting, 3) for _ in range(2)][1]  # of every turn
    names = [f"copy_{case:03d}_{channel:04d}.nii.gz" for case in range(3) for channel in range(2)]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "copy_002_0001.nii.gz").read_text() == "case_001 1"


def test_the_scan_of_most_slices_is_taken(monkeypatch, tmp_path):
    scans = [SimpleNamespace(case_id=str(n), files={inference.CTP: n}) for n in (2, 8, 4)]
    shape = {n: SimpleNamespace(disk_shape=(64, 64, n, 40 - n)) for n in (2, 8, 4)}
    monkeypatch.setattr(inference.isles2018, "find_scans", lambda folder: (scans, []))
    monkeypatch.setattr(inference, "read_header", shape.get)
    assert inference.largest_scan(tmp_path).case_id == "8"


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Runs of commands that only leave their output behind; and their cases' number."""
    setting, ran = setting_of(tmp_path), []

    def run_command(command, variables, *, log_file, shown):
        ran.append((command, variables))
        if command[0] == "nnUNetv2_train":
            fold = inference.model_folder(setting, command[5]) / "fold_0"
            fold.mkdir(parents=True)
            (fold / "checkpoint_final.pth").touch()
        if command[0] == "nnUNetv2_predict":
            images, output = (Path(command[command.index(name) + 1]) for name in ("-i", "-o"))
            for path in images.glob("*_0000.nii.gz"):
                (output / path.name.replace("_0000", "")).touch()

    monkeypatch.setattr(inference, "run_command", run_command)
    monkeypatch.setattr(inference, "make_data", lambda folder, size: None)
    monkeypatch.setattr(inference, "largest_scan", lambda folder: setting.scan)
    monkeypatch.setattr(inference, "passes_of", lambda *_: (16, lambda: 2.0))
    return setting, ran


def test_every_claim_has_a_row_and_every_command_device_and_threads(commands, monkeypatch):
    setting, ran = commands
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    rows = inference.measure(CPU, True, data=setting.data)
    assert [row["claim"] for row in rows] == [
        "nnUNetv2_predict, a case more, StrokeSynthTrainer (16 passes)",
        "nnUNetv2_predict, start-up, StrokeSynthTrainer (16 passes)",
        "strokesynth predict, one scan, StrokeSynthTrainer (16 passes)",
        "nnUNetv2_predict, one scan, StrokeSynthTrainer (16 passes)",
        "nnUNetv2_predict, a case more, StrokeSynthTrainer_Stock (16 passes)",
        "nnUNetv2_predict, start-up, StrokeSynthTrainer_Stock (16 passes)",
    ]
    assert all(row["yardstick"] == 2.0 and row["target"] == "" for row in rows)
    assert all(command[-2:] == ["-device", "cpu"] for command, _ in ran)
    assert all(variables["OMP_NUM_THREADS"] == "5" for _, variables in ran)
    assert all(variables["nnUNet_def_n_proc"] == "5" for _, variables in ran)


def test_models_are_trained_for_one_iteration_and_once(commands):
    setting, ran = commands
    for _ in range(2):
        inference.measure(CPU, True, data=setting.data)
    trained = [(c[5], v) for c, v in ran if c[0] == "nnUNetv2_train"]
    assert [trainer for trainer, _ in trained] == ["StrokeSynthTrainer", "StrokeSynthTrainer_Stock"]
    for name in ("epochs", "iterations_per_epoch", "val_iterations_per_epoch"):
        assert all(v[f"strokesynth_num_{name}"] == "1" for _, v in trained)


def test_a_case_that_was_not_written_is_no_measurement(commands, monkeypatch):
    monkeypatch.setattr(inference, "run_command", lambda *_, **__: None)
    with pytest.raises(ValueError, match="wrote 0 cases, expected 3"):
        inference.predict_s(commands[0], inference.OURS, 3)


def test_every_figure_reaches_its_row(commands, monkeypatch):
    setting, _ = commands
    monkeypatch.setattr(inference, "predict_s", lambda _, trainer, count: 4.0 + 6 * count)
    monkeypatch.setattr(inference, "patient_s", lambda _: 5.0)
    rows = inference.trainer_rows(setting, inference.OURS, (3, 11))
    assert [row["ours"] for row in rows] == [6.0, 4.0, 5.0, 10.0]
    assert [row["ratio"] for row in rows] == [3.0, 2.0, 2.5, 5.0]
