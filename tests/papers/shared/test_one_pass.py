from collections import Counter
from types import SimpleNamespace

import torch
from nnunetv2.run.run_training import get_trainer_from_args

from nnunetv2_strokesynth.papers.shared.one_pass import OnePassDataset


class Cases:
    """Three cases of 2, 5 and 1 slices."""

    slices = {"a": 2, "b": 5, "c": 1}
    identifiers = list(slices)

    def load_case(self, case_id):
        return SimpleNamespace(shape=(12, self.slices[case_id], 8, 8)), case_id, None, {}


def test_every_slice_is_listed_once():
    dataset = OnePassDataset(Cases())
    assert Counter(dataset.identifiers) == Cases.slices
    assert dataset.load_case("b")[1] == dataset["b"][1] == "b"


def test_nnunets_loader_draws_slices_evenly(nnunet_folders, monkeypatch):
    """nnU-Net's own loader on the preprocessed phantom: cases come in proportion to slices."""
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    trainer = get_trainer_from_args(
        "18", "2d", 0, "StrokeSynthTrainer_SegSLNet", device=torch.device("cpu")
    )
    trainer.initialize()
    loader = trainer.get_dataloaders()[0].data_loader
    wanted = Counter(loader._data.identifiers)
    assert min(wanted.values()) < max(wanted.values())
    n_draws = 4000
    found = Counter(case_id for _ in range(n_draws) for case_id in loader.get_indices())
    for case_id, n in wanted.items():
        share = n / sum(wanted.values())
        assert abs(found[case_id] / (5 * n_draws) - share) < 0.02
