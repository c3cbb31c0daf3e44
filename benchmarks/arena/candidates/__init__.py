"""A folder for ``nnUNet_extTrainer``: nnU-Net finds the arena's own trainers here."""
