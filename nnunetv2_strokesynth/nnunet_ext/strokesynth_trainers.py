"""What nnU-Net finds through ``nnUNet_extTrainer``. Only re-exports: see ``trainers/``."""

from nnunetv2_strokesynth.trainers.strokesynth import (  # noqa: F401
    StrokeSynthTrainer,
    StrokeSynthTrainer_NoDWI,
)
