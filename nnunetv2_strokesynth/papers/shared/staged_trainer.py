"""``StagedTrainer``: trainings in stages, each of which keeps its best epoch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from nnunetv2_strokesynth.papers.shared.paper_trainer import PaperTrainer
from nnunetv2_strokesynth.papers.shared.stages import Stage, epochs_since_best, kept_is_best
from nnunetv2_strokesynth.trainers.checkpoint_file import read_checkpoint


class _EarlyStop(Exception):
    """Leaves nnU-Net's loop over the epochs."""


class StagedTrainer(PaperTrainer):
    """A paper's training in one or more stages.

    The best epoch of each stage is kept. The next stage starts from it, and that of the last stage
    is what ``checkpoint_final.pth`` holds. nnU-Net, in contrast, keeps the last epoch.

    Attributes:
        stages: one or more, each ``default_epochs`` long.
        patience: the training stops after so many epochs of the last stage without a better score.
            None: it does not stop early.
    """

    stages: tuple[Stage, ...]
    patience: int | None = None

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.epochs_per_stage = self.num_epochs
        self.num_epochs = self.epochs_per_stage * len(self.stages)
        self._stage: Stage | None = None

    def run_training(self) -> None:
        """nnU-Net's loop over the epochs, left early when the patience is used up."""
        try:
            super().run_training()
        except _EarlyStop:
            self.print_to_log_file(
                f"no better validation score for {self.patience} epochs: training ends here"
            )
            self.on_train_end()

    def on_epoch_start(self) -> None:
        """Starts an epoch, unless the last stage's patience is used up."""
        if self.patience is not None:
            scores = self._scores_of_stage(len(self.stages) - 1)
            if scores and epochs_since_best(scores) >= self.patience:
                raise _EarlyStop
        super().on_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Enters the epoch's stage, then starts as nnU-Net does.

        Frozen parts stay in evaluation mode, so that their batch statistics do not change.
        """
        stage = self.stages[min(self.current_epoch // self.epochs_per_stage, len(self.stages) - 1)]
        if stage is not self._stage:
            self._enter(stage)
        super().on_train_epoch_start()
        for name, part in self.unwrapped_network.named_children():
            part.train(name in stage.trained)

    def _learns(self, name: str, stage: Stage) -> bool:
        """Whether a part of the network learns in a stage."""
        return name in stage.trained

    def _enter(self, stage: Stage) -> None:
        """Loads the best state of the stage before and freezes what this stage does not train."""
        number = self.stages.index(stage)
        if self.current_epoch == number * self.epochs_per_stage and number > 0:
            self._load_weights(self._best_checkpoint(number - 1))
            self.optimizer.state.clear()
            self._best_ema = None  # of predictions by parts that had not learned yet
        changed = False
        for name, part in self.unwrapped_network.named_children():
            learns = self._learns(name, stage)
            for parameter in part.parameters():
                changed |= parameter.requires_grad != learns
                parameter.requires_grad_(learns)
        if changed and self.is_ddp:  # DDP waits for the gradients of what could learn when it began
            self.network = DistributedDataParallel(
                self.network.module, device_ids=[self.local_rank]
            )
        self._stage = stage
        if len(self.stages) > 1:
            self.print_to_log_file(f"stage '{stage.name}': {', '.join(stage.trained)} learn")

    def _record_epoch(self) -> None:
        """Records the terms of the loss, then keeps the checkpoint if it is the stage's best.

        The checkpoint is written here because the score may be one of these terms, and because
        nnU-Net's ``on_epoch_end`` goes on to count the next epoch.
        """
        super()._record_epoch()
        number = self.current_epoch // self.epochs_per_stage
        if kept_is_best(self._scores_of_stage(number)):
            self.save_checkpoint(str(self._best_checkpoint(number)))

    def validation_scores(self, stage: Stage) -> list[float]:
        """One number per finished epoch of the whole training, higher is better: online Dice.

        nnU-Net's own ``checkpoint_best.pth`` follows a moving average of it, which starts at the
        first epoch's and lags behind. The papers speak of the best checkpoint.
        """
        return self.logger.local_logger.my_fantastic_logging["mean_fg_dice"]

    def _scores_of_stage(self, number: int) -> list[float]:
        first = number * self.epochs_per_stage
        return self.validation_scores(self.stages[number])[first : first + self.epochs_per_stage]

    def on_train_end(self) -> None:
        """Goes back to the best checkpoint of the last stage, which becomes the final one."""
        self._load_weights(self._best_checkpoint(len(self.stages) - 1))
        super().on_train_end()

    def _best_checkpoint(self, number: int) -> Path:
        return Path(self.output_folder) / f"checkpoint_best_{self.stages[number].name}.pth"

    def _load_weights(self, path: Path) -> None:
        if self.is_ddp:
            dist.barrier()  # rank 0 may still be writing
        if self.disable_checkpointing or not path.is_file():
            return  # what may lie there is another training's
        self.print_to_log_file(f"weights of {path.name}")
        checkpoint = read_checkpoint(path, self.device)
        self.unwrapped_network.load_state_dict(checkpoint["network_weights"])
