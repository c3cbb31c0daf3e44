"""``nnUNetv2_plan_and_preprocess`` with the same options, but in little memory.

nnU-Net samples 1e8 voxels of each channel for the fingerprint, which takes 12 GB and more. Here it
samples 1e6.
"""

from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
from nnunetv2.experiment_planning.plan_and_preprocess_entrypoints import plan_and_preprocess_entry

extractor = fingerprint_extractor.DatasetFingerprintExtractor
original = extractor.__init__


def init(self, *args, **kwargs) -> None:
    """Initialise as nnU-Net does, but sample fewer voxels."""
    original(self, *args, **kwargs)
    self.num_foreground_voxels_for_intensitystats = 1e6


if __name__ == "__main__":
    extractor.__init__ = init
    plan_and_preprocess_entry()
