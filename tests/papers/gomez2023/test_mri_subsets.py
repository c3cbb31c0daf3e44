"""The trainers of Fig. 8 and 9: each reads its maps of six, and is otherwise its base."""

import pytest
import torch

from nnunetv2_strokesynth.channels import PRESETS, numbered
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.gomez2023.mri_subsets import SUBSET_TRAINERS
from nnunetv2_strokesynth.papers.gomez2023.trainers import Gomez2023Trainer_MRI
from nnunetv2_strokesynth.papers.tables import TABLES

MAPS = PRESETS["isles2017"].names


class Configuration:
    """What ``build_network_architecture`` asks of nnU-Net's configuration manager."""

    configuration = {"strokesynth_base_features": 4}
    patch_size = (64, 64)


def test_every_subset_of_the_figures_has_four_trainers_that_nnunet_finds():
    assert len(SUBSET_TRAINERS) == (6 + 4) * 4
    for name, trainer in SUBSET_TRAINERS.items():
        assert trainer.__name__ == name and getattr(strokesynth_trainers, name) is trainer
    rows = {name for table in ("gomez2023_single", "gomez2023_mri") for name in TABLES[table].names}
    assert rows - set(SUBSET_TRAINERS) == {
        f"Gomez2023Trainer_{name}" for name in ("MRI", "MRIUNet", "MRICW", "MRICWDS")
    }
    assert set(SUBSET_TRAINERS) <= rows


@pytest.mark.parametrize("name", SUBSET_TRAINERS)
def test_a_subset_differs_from_its_base_in_its_inputs_alone(name):
    trainer = SUBSET_TRAINERS[name]
    (base,) = trainer.__bases__
    assert issubclass(base, Gomez2023Trainer_MRI) and name.startswith(f"{base.__name__}_")
    assert trainer.inputs == tuple(name.removeprefix(f"{base.__name__}_").split("_"))
    assert set(vars(trainer)) <= {"inputs", "__module__", "__doc__"}
    assert " + ".join(trainer.inputs) in trainer.__doc__


def test_a_subset_reads_its_maps_and_no_others():
    trainer = SUBSET_TRAINERS["Gomez2023Trainer_MRI_ADC_Tmax"]
    torch.manual_seed(0)
    network = trainer.build_network_architecture(None, Configuration(), 6, 2, True).eval()
    image = torch.randn(1, 6, 64, 64)
    changed = image.repeat(6, 1, 1, 1)
    changed[range(6), range(6)] += 1
    with torch.no_grad():
        differs = (network(changed)[-1] - network(image)[-1]).abs().flatten(1).amax(1) > 1e-6
    assert [MAPS[k] for k in torch.nonzero(differs)[:, 0]] == ["ADC", "Tmax"]


def test_a_subset_needs_a_data_set_with_all_six_maps():
    trainer = SUBSET_TRAINERS["Gomez2023Trainer_MRI_ADC"]
    with pytest.raises(ValueError, match="reads 6 channels"):
        trainer.build_network_architecture(None, Configuration(), 3, 2, True)
    with pytest.raises(ValueError, match="ADC, rCBF, .* lists ADC"):
        trainer._check_channels(numbered(MAPS[:1]))
    trainer._check_channels(numbered(MAPS))
