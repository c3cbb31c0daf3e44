"""Trainings in stages: the best epoch of each is kept, tried with trainers of Wang et al. 2020."""

from pathlib import Path

import torch

CPU = torch.device("cpu")


def test_a_stage_starts_from_the_best_of_the_one_before(trainer):
    made = trainer("SynthL1", epochs_per_stage=2, num_epochs=4)
    made.on_train_start()
    log = made.logger.local_logger.my_fantastic_logging
    weight = next(made.unwrapped_network.generator.parameters())
    for epoch, val_loss in enumerate((1.0, 2.0)):
        made.on_epoch_start()
        made.on_train_epoch_start()
        with torch.no_grad():
            weight.fill_(epoch)
        for key in ("train_losses", "mean_fg_dice", "ema_fg_dice"):
            log[key].append(0.5)
        log["val_losses"].append(val_loss)
        log["dice_per_class_or_region"].append([0.5])
        made._train_terms.add({"L_s": torch.tensor(1.0)})
        made.on_epoch_end()
    assert made.current_epoch == 2 and made._best_ema is not None
    made.on_train_epoch_start()
    assert (weight == 0).all(), "epoch 0 had the lower validation loss"
    assert made._best_ema is None and not made.optimizer.state
    assert not weight.requires_grad


def test_the_final_checkpoint_is_the_best_one(trainer):
    made = trainer("SegUNet")
    made.on_train_start()
    weight = next(made.unwrapped_network.parameters())
    with torch.no_grad():
        weight.fill_(3.0)
    made.save_checkpoint(str(Path(made.output_folder) / "checkpoint_best_joint.pth"))
    with torch.no_grad():
        weight.fill_(4.0)
    made.on_train_end()
    final = torch.load(Path(made.output_folder) / "checkpoint_final.pth", weights_only=False)
    assert (next(iter(final["network_weights"].values())) == 3.0).all()
    assert (weight == 3.0).all()


def test_without_checkpoints_no_weights_of_an_earlier_training_come_back(trainer):
    """nnU-Net's ``--disable_checkpointing``, in a folder where a training has ended before."""
    made = trainer("SegUNet")
    made.on_train_start()
    made.save_checkpoint(str(Path(made.output_folder) / "checkpoint_best_joint.pth"))
    made.disable_checkpointing = True
    weight = next(made.unwrapped_network.parameters())
    with torch.no_grad():
        weight.fill_(4.0)
    made.on_train_end()
    assert (weight == 4.0).all()


def test_best_is_the_epoch_with_the_highest_dice_not_the_highest_moving_average(trainer):
    made = trainer("SegUNet", epochs_per_stage=3, num_epochs=3)
    made.on_train_start()
    log = made.logger.local_logger.my_fantastic_logging
    weight = next(made.unwrapped_network.parameters())
    for epoch, (dice, average) in enumerate(((0.5, 0.5), (0.6, 0.4), (0.1, 0.3))):
        made.on_epoch_start()
        made.on_train_epoch_start()
        with torch.no_grad():
            weight.fill_(epoch)
        for key, value in (("mean_fg_dice", dice), ("ema_fg_dice", average)):
            log[key].append(value)
        for key in ("train_losses", "val_losses"):
            log[key].append(1.0)
        log["dice_per_class_or_region"].append([dice])
        made._train_terms.add({"L_s": torch.tensor(1.0)})
        made.on_epoch_end()
    made.on_train_end()
    assert (weight == 1).all()
