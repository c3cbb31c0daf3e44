"""``Song2018Trainer``: Song & Huang 2018, who won ISLES 2018, and the rows of their Table 1.

The forerunner of Wang et al. 2020 shares their trainer's machinery: the networks, RMSprop, batches
of 5 slices, epochs of one pass, the best checkpoint. What differs is below and in
``losses/song2018.py``. Data: ``strokesynth convert isles2018 ... --preset song2018 --folds 4``.
"""

from __future__ import annotations

from functools import partial

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataloading.transforms import PackTargets
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.strokesynth_net import FEATURE
from nnunetv2_strokesynth.papers.shared.radial_distortion import RadialDistortion
from nnunetv2_strokesynth.papers.shared.unet import (
    SLNetNoSN,
    UNet,
)
from nnunetv2_strokesynth.papers.song2018.loss import Song2018Loss
from nnunetv2_strokesynth.papers.song2018.signed_distance_weight_map import (
    signed_distance_weight_map,
)
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020

_SIX_FRAMES = tuple(f"CTA_{k}" for k in range(0, 11, 2))


class Song2018Trainer(StrokeSynthTrainer_Wang2020):
    """Song & Huang 2018, Table 1, last row: three stages, E + G + AU-Net with SN, SDF and BN.

    The extractor regresses the lesion; the generator reads the maps, both MIPs and the feature; two
    context encoders, one for the generated and one for the real DWI; weights from the signed
    distance; a batch norm without learned parameters in front of each network; warm-up, and the
    learning rate times 0.2 after 180 and 300 epochs.

    Choices where the paper is silent: 400 epochs, 5 of them warm-up; radial distortion in a third
    of the samples, beside nnU-Net's rotations and crops.
    """

    preset = "song2018"
    generator_inputs = (*PERFUSION_MAPS, "MIP", "MIP_P", FEATURE)
    normalise_inputs = True
    context_length = 14  # pooled to 7x1 and 1x7
    two_encoders = True
    weighted_synthesis = True
    default_epochs = 400
    lr_drops = (0.45, 0.75)  # after 180 and 300 of 400
    lr_warm_up = 0.0125  # 5 of 400
    p_distortion = 1 / 3

    def _joint_loss(self, network: nn.Module, segmentation: SegmentationLoss) -> nn.Module:
        return Song2018Loss(
            network.context_encoder,
            network.real_context_encoder,
            segmentation=segmentation,
            with_extractor=network.extractor is not None,
            weighted=self.weighted_synthesis,
        )

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        return PackTargets(partial(signed_distance_weight_map, decay_px=cls.decay_px))

    @classmethod
    def _further_augmentation(cls) -> list[BasicTransform]:
        return [RandomTransform(RadialDistortion(), apply_probability=cls.p_distortion)]


class Song2018Trainer_UNetCE(Song2018Trainer):
    """Table 1, U-Net + CE: one stage, on the perfusion maps."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    normalise_inputs = False


class Song2018Trainer_UNetCEGD(Song2018Trainer):
    """Table 1, U-Net + CE + GD: one stage, with the generalised Dice."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce", "L_hgd")
    normalise_inputs = False


class Song2018Trainer_AUNetCEGD(Song2018Trainer):
    """Table 1, AU-Net + CE + GD: one stage, with squeeze-and-excitation."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = SLNetNoSN
    segmentation_terms = ("L_ce", "L_hgd")
    normalise_inputs = False


class Song2018Trainer_G(Song2018Trainer):
    """Table 1, AU-Net + CE + GD + G: two stages, the DWI generated from the maps and PWImax_p."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P")
    segmenter = SLNetNoSN
    segmentation_terms = ("L_ce", "L_hgd")
    normalise_inputs = False
    context_term = None
    two_encoders = False
    weighted_synthesis = False


class Song2018Trainer_GSDF(Song2018Trainer):
    """Table 1, ... + G + SDF: weights from the signed distance in both losses."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P")
    segmenter = SLNetNoSN
    normalise_inputs = False
    context_term = None
    two_encoders = False


class Song2018Trainer_GSDFSN(Song2018Trainer):
    """Table 1, ... + G + SDF + SN: switchable norm in the segmentor."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P")
    normalise_inputs = False
    context_term = None
    two_encoders = False


class Song2018Trainer_GSDFSNE(Song2018Trainer):
    """Table 1, ... + G + SDF + SN + E: three stages, the extractor on six of the frames."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P", FEATURE)
    frames = _SIX_FRAMES
    normalise_inputs = False
    context_term = None
    two_encoders = False
