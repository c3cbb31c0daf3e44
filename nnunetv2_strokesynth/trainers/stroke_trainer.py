"""``StrokeTrainer``: what all trainers of this package share inside nnU-Net.

``train_step``, ``validation_step``, AMP, checkpoints, online Dice, sliding window, mirroring and
ensembling stay nnU-Net's own; trainers that synthesise a DWI clip each network by itself. Its
deep-supervision protocol passes lists to the loss, and we use that protocol: in training, a network
returns a tuple that begins with the logits, and the loader returns a list that begins with the
labels. nnU-Net's online Dice reads these two.
"""

from __future__ import annotations

from pathlib import Path

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS, check_channels
from nnunetv2_strokesynth.dataloading.transforms import PackTargets, no_weights, with_targets
from nnunetv2_strokesynth.io.atomic import atomic_file, remove_leftovers
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.trainers.earlier_checkpoint import check_same_preparation
from nnunetv2_strokesynth.trainers.environment import apply_overrides
from nnunetv2_strokesynth.trainers.loss_log import (
    TermMeans,
    history_of_terms,
    log_terms,
    plot_terms,
    write_csv,
)
from nnunetv2_strokesynth.trainers.nnunet_host import NNUNetHost


class StrokeTrainer(NNUNetHost):
    """The base of this package's trainers. A system is a subclass that changes what follows.

    Attributes:
        preset: a key of ``channels.PRESETS``. The data set's channels are checked against it.
        uses_dwi: whether the last channel that the loader delivers is the DWI of the loss.
        configuration: nnU-Net's configuration that the trainer is made for.
        n_dimensions: 2 if the network takes slices, 3 if it takes volumes.
        learning_rate: None keeps nnU-Net's.
        knows_ignore_label: whether the losses leave out nnU-Net's label ``ignore``. The papers'
            recipes do not say what would become of it.
        one_lesion: whether the labels must be background and one lesion.
    """

    preset: str
    uses_dwi = False
    configuration = "2d"
    n_dimensions = 2
    learning_rate: float | None = None
    knows_ignore_label = False
    one_lesion = False

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        apply_overrides(self)
        self._train_terms, self._val_terms = TermMeans(), TermMeans()
        if self.learning_rate is not None:
            self.initial_lr = self.learning_rate

    @classmethod
    def check_suitable(cls, plans: dict, configuration: str, dataset_json: dict) -> None:
        """The configuration's dimensions, the channels and the labels must be the trainer's."""
        super().check_suitable(plans, configuration, dataset_json)
        cls._check_channels(dataset_json["channel_names"])
        cls._check_labels(PlansManager(plans), dataset_json)

    @classmethod
    def _check_labels(cls, plans: PlansManager, dataset_json: dict) -> None:
        labels = dataset_json["labels"]
        regions = [name for name, of in labels.items() if isinstance(of, (list, tuple)) and of[1:]]
        if regions:
            raise ValueError(
                f"dataset.json makes regions of several labels ({', '.join(regions)}), and "
                f"{cls.__name__} knows classes alone, of which a voxel has one. Give each voxel "
                "one label, or train StrokeSynthTrainer_Stock"
            )
        ignore_label = labels.get("ignore")
        if ignore_label is not None and not cls.knows_ignore_label:
            raise ValueError(
                f"dataset.json names {ignore_label} as the label 'ignore', which "
                f"{cls.__name__} does not know. StrokeSynthTrainer and its relatives do; or "
                "train on a data set without it"
            )
        cls._check_classes(plans.get_label_manager(dataset_json).num_segmentation_heads)

    @classmethod
    def _check_classes(cls, n_classes: int) -> None:
        if cls.one_lesion and n_classes != 2:
            raise ValueError(
                f"{cls.__name__} tells lesion from background, the data set has "
                f"{n_classes} classes. Reduce its labels to background and one lesion."
            )

    @classmethod
    def _check_configuration(cls, configuration: ConfigurationManager) -> None:
        if len(configuration.patch_size) != cls.n_dimensions:
            wanted = {2: "slices: use the configuration 2d", 3: "volumes: use 3d_fullres"}
            raise ValueError(f"{cls.__name__} works on {wanted[cls.n_dimensions]}")

    @classmethod
    def _check_channels(cls, channel_names: dict[str, str]) -> None:
        check_channels(channel_names, cls.preset, cls.__name__)

    @classmethod
    def _check_inputs(cls, configuration: ConfigurationManager, num_input_channels: int) -> None:
        cls._check_configuration(configuration)
        n_expected = len(PRESETS[cls.preset].names)
        if num_input_channels not in (n_expected, n_expected + 1):  # a CTA may follow
            raise ValueError(
                f"{cls.__name__} reads {n_expected} channels (preset {cls.preset}), "
                f"the data set has {num_input_channels}"
            )

    def initialize(self) -> None:
        """Checks the data set, then initialises as nnU-Net does."""
        self.check_suitable(self.plans_manager.plans, self.configuration_name, self.dataset_json)
        super().initialize()
        ignore_label = self.label_manager.ignore_label
        if ignore_label is not None:
            self.segmentation_loss.ignore_label = ignore_label

    @property
    def segmentation_loss(self) -> SegmentationLoss:
        """L_s, alone or within the joint loss."""
        return getattr(self.loss, "segmentation", self.loss)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Makes the network return all its heads (training) or the logits alone (prediction)."""
        self.unwrapped_network.return_heads = enabled

    def _get_deep_supervision_scales(self) -> None:
        # The list of targets does not hold smaller copies of the labels.
        return None

    def _build_loss(self) -> nn.Module:
        return SegmentationLoss()

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        """Hook: the transform that makes the list of targets."""
        return PackTargets(no_weights)

    @classmethod
    def _further_augmentation(cls) -> list[BasicTransform]:
        """Hook: transforms that come before nnU-Net's augmentation."""
        return []

    @classmethod
    def get_training_transforms(cls, *args, **kwargs):
        """nnU-Net's augmentation with the list of targets. A DWI moves along with the image."""
        return with_targets(
            nnUNetTrainer.get_training_transforms(*args, **kwargs),
            cls._pack(**kwargs),
            has_dwi=cls.uses_dwi,
            first=cls._further_augmentation(),
        )

    @classmethod
    def get_validation_transforms(cls, *args, **kwargs):
        """nnU-Net's transforms with the same list of targets as in training."""
        augmentation = nnUNetTrainer.get_validation_transforms(*args, **kwargs)
        return with_targets(augmentation, cls._pack(**kwargs), has_dwi=cls.uses_dwi)

    @classmethod
    def _pack(cls, *, ignore_label: int | None = None, **_) -> PackTargets:
        pack = cls._pack_targets()
        if ignore_label is not None:
            pack.ignore_label = ignore_label
        return pack

    def _prepared(self, train, val):
        """Hook: what a system adds to nnU-Net's two data sets."""
        return train, val

    def get_tr_and_val_datasets(self):
        """nnU-Net's data sets, as the system prepares them."""
        return self._prepared(*super().get_tr_and_val_datasets())

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step. Keeps the terms of the loss for the log."""
        outputs = super().train_step(batch)
        self._train_terms.add(self.loss.terms)
        return outputs

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's step. Keeps the terms of the loss for the log."""
        outputs = super().validation_step(batch)
        self._val_terms.add(self.loss.terms)
        return outputs

    def on_epoch_end(self) -> None:
        """Records the terms of the loss, then ends the epoch as nnU-Net does."""
        self._record_epoch()
        super().on_epoch_end()

    def _record_epoch(self) -> None:
        """Writes the epoch's terms: nnU-Net's log, ``loss_terms.csv`` and ``loss_terms.png``."""
        for phase, means in (("train", self._train_terms), ("val", self._val_terms)):
            terms = means.pop()
            log_terms(self.logger, phase, terms, self.current_epoch)
            listed = ", ".join(f"{name} {value:.4f}" for name, value in terms.items())
            self.print_to_log_file(f"{phase} terms: {listed}")
        if self.local_rank == 0:
            history = history_of_terms(self.logger)
            write_csv(Path(self.output_folder), history)
            plot_terms(Path(self.output_folder), history)

    def load_checkpoint(self, checkpoint: str | dict, /) -> None:  # its name differs in nnU-Net
        """Loads nnU-Net's checkpoint, to go on with a training or to validate one.

        Args:
            checkpoint: the file, or what is in it.

        Raises:
            ValueError: the checkpoint was trained on cases that were prepared otherwise than now,
                as by an earlier version.
        """
        known = checkpoint if isinstance(checkpoint, dict) else Path(checkpoint)
        check_same_preparation(known, self.plans_manager.plans, self.configuration_name)
        super().load_checkpoint(checkpoint)

    def save_checkpoint(self, filename: str) -> None:
        """Writes nnU-Net's checkpoint beside the old one and renames it.

        nnU-Net writes in place: if the process is killed or the disk is full in the middle of that,
        the file is torn and the training cannot go on. Here, one of the two files stays whole.
        """
        if self.local_rank != 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)  # writes nothing, and logs why
            return
        path = Path(filename)
        remove_leftovers(path.parent)
        with atomic_file(path) as temporary:
            super().save_checkpoint(str(temporary))
