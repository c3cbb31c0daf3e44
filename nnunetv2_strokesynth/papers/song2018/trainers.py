"""``Song2018Trainer``: Song & Huang 2018, who won ISLES 2018, and the rows of their Table 1.

Data: ``strokesynth convert isles2018 ... --preset song2018 --folds 4``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.strokesynth_net import PSEUDO_DWI
from nnunetv2_strokesynth.papers.shared.radial_distortion import RadialDistortion
from nnunetv2_strokesynth.papers.shared.staged_synthesis import StagedSynthesisTrainer
from nnunetv2_strokesynth.papers.shared.stages import JOINT
from nnunetv2_strokesynth.papers.shared.synthesis_networks import FEATURE
from nnunetv2_strokesynth.papers.shared.unet import SLNet, SLNetNoSN, UNet
from nnunetv2_strokesynth.papers.song2018.loss import Song2018Loss
from nnunetv2_strokesynth.papers.song2018.signed_distance_weight_map import (
    signed_distance_weight_map,
)

_SIX_FRAMES = tuple(f"CTA_{k}" for k in range(0, 11, 2))


class Song2018Trainer(StagedSynthesisTrainer):
    """Song & Huang 2018, Table 1, last row: three stages, E + G + AU-Net with SN, SDF and BN.

    The extractor regresses the lesion; the generator reads the maps, both MIPs and the feature; two
    context encoders, one for the generated and one for the real DWI; weights from the signed
    distance; a batch norm without learned parameters in front of each network; RMSprop, batches of
    5 slices, warm-up, and the learning rate times 0.2 after 180 and 300 epochs. The paper's stages
    are networks, all trained together.

    Choices where the paper is silent: 400 epochs, 5 of them warm-up; epochs of one pass over the
    slices; the checkpoint that was best on the validation scans; radial distortion in a third of
    the samples, beside nnU-Net's rotations and crops. Departure: nnU-Net also mirrors, in training
    and in the passes of a prediction.

    Attributes:
        frames: the CTP frames that the extractor reads; None: all of the preset.
        normalise_inputs: whether a batch norm without learned parameters precedes each network.
        two_encoders: one context encoder for the generated DWI and one for the real one; False:
            there is none.
        weighted_synthesis: whether the signed distance's weights are in the synthesis loss.
        p_distortion: share of the samples that are distorted.
    """

    preset = "song2018"
    base_features = 64
    paper_batch_size = 5
    learning_rate = 0.002
    default_epochs = 400
    lr_drops = (0.45, 0.75)  # after 180 and 300 of 400
    lr_warm_up = 0.0125  # 5 of 400
    one_pass_epochs = True
    stages = (JOINT,)
    generator_inputs = (*PERFUSION_MAPS, "MIP", "MIP_P", FEATURE)
    segmenter_inputs = (PSEUDO_DWI,)
    frames: tuple[str, ...] | None = None
    segmenter = SLNet
    segmentation_terms = ("L_wce", "L_hgd")
    normalise_inputs = True
    context_length = 14  # pooled to 7x1 and 1x7
    two_encoders = True
    decay_px = 50.0
    weighted_synthesis = True
    p_distortion = 1 / 3

    @classmethod
    def _networks(cls, num_output_channels: int, **options) -> nn.Module:
        return super()._networks(
            num_output_channels,
            frames=cls.frames,
            normalise_inputs=cls.normalise_inputs,
            with_context_encoder=cls.two_encoders,
            with_real_context_encoder=cls.two_encoders,
            **options,
        )

    def _joint_loss(self, segmentation: SegmentationLoss) -> nn.Module:
        network = self.unwrapped_network
        return Song2018Loss(
            network.context_encoder,
            network.real_context_encoder,
            segmentation=segmentation,
            with_extractor=network.extractor is not None,
            weighted=self.weighted_synthesis,
        )

    @classmethod
    def _weight_map(cls) -> Callable[[np.ndarray], np.ndarray]:
        return partial(signed_distance_weight_map, decay_px=cls.decay_px)

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
    two_encoders = False
    weighted_synthesis = False


class Song2018Trainer_GSDF(Song2018Trainer):
    """Table 1, ... + G + SDF: weights from the signed distance in both losses."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P")
    segmenter = SLNetNoSN
    normalise_inputs = False
    two_encoders = False


class Song2018Trainer_GSDFSN(Song2018Trainer):
    """Table 1, ... + G + SDF + SN: switchable norm in the segmentor."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P")
    normalise_inputs = False
    two_encoders = False


class Song2018Trainer_GSDFSNE(Song2018Trainer):
    """Table 1, ... + G + SDF + SN + E: three stages, the extractor on six of the frames."""

    generator_inputs = (*PERFUSION_MAPS, "MIP_P", FEATURE)
    frames = _SIX_FRAMES
    normalise_inputs = False
    two_encoders = False
