"""A CTA after the preset's channels: trainers that pick channels by name train as without it."""

import pytest
import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from trainer_world import plans_and_dataset

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers

BY_NAME = (
    "StrokeSynthTrainer",
    "StrokeSynthTrainer_NoDWI",
    "StrokeSynthTrainer_Wang2020",
    "Abulnaga2018Trainer",
    "Gomez2023Trainer",
    "Clerigues2019Trainer",
)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_cta_is_left_out(name):
    """One more channel is accepted, and no value of it reaches the result."""
    trainer = getattr(strokesynth_trainers, name)
    plans, _ = plans_and_dataset(trainer.preset)
    configuration = PlansManager(plans).get_configuration("2d")
    configuration.configuration["strokesynth_base_features"] = 4
    n_channels = len(PRESETS[trainer.preset].names)
    networks = []
    for extra in (0, 1):
        torch.manual_seed(3)
        networks.append(
            trainer.build_network_architecture(
                None, configuration, n_channels + extra, 2, False
            ).eval()
        )
    plain, with_cta = networks
    with_cta.load_state_dict(plain.state_dict())
    images = torch.randn(1, n_channels, 64, 64)
    cta = 1e4 * torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        results = [
            network(image)
            for network, image in ((plain, images), (with_cta, torch.cat((images, cta), dim=1)))
        ]
    torch.testing.assert_close(results[1], results[0])


def test_two_further_channels_are_refused():
    plans, _ = plans_and_dataset("wang2020")
    configuration = PlansManager(plans).get_configuration("2d")
    trainer = strokesynth_trainers.StrokeSynthTrainer
    with pytest.raises(ValueError, match="reads 12 channels"):
        trainer.build_network_architecture(None, configuration, 14, 2)
