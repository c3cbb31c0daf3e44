"""The rows of Wang et al. 2020, Tables 1 to 5, as trainers; ``tables.py`` lists them.

The trainers of Tables 1 and 2 (``Synth...``) train the synthesis first, then a U-Net with plain
cross entropy on the frozen pseudo-DWI: two stages of 300 epochs in one training. Those of Tables 3
and 4 (``Seg...``, ``Loss...``) segment the perfusion maps F_o directly. Those of Table 5
(``From...``) vary what SLNet with the full L_s sees.
"""

from __future__ import annotations

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.networks.strokesynth_net import PSEUDO_DWI
from nnunetv2_strokesynth.papers.shared.stages import (
    EXTRACTOR,
    GENERATOR,
    SEGMENTATION,
    SYNTHESIS,
)
from nnunetv2_strokesynth.papers.shared.unet import (
    SLNetNoSE,
    SLNetNoSN,
    UNet,
)
from nnunetv2_strokesynth.papers.wang2020.fcn import FCN
from nnunetv2_strokesynth.papers.wang2020.r2unet import R2UNet
from nnunetv2_strokesynth.papers.wang2020.resunet import ResUNet
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020

_CTA_FRAMES = tuple(f"CTA_{k}" for k in range(6))


class StrokeSynthTrainer_SynthL1(StrokeSynthTrainer_Wang2020):
    """Table 1, L1: F_o -> pseudo-DWI by the L1 loss, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    pixel_term = "L1"
    context_term = None
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthL2(StrokeSynthTrainer_Wang2020):
    """Table 1, L2: F_o -> pseudo-DWI by the L2 loss, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    pixel_term = "L2"
    context_term = None
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthGAN(StrokeSynthTrainer_Wang2020):
    """Table 1, GAN: F_o -> pseudo-DWI by a least-squares GAN alone, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    pixel_term = None
    context_term = None
    adversarial = True
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthL2GAN(StrokeSynthTrainer_Wang2020):
    """Table 1, L2 + GAN: F_o -> pseudo-DWI by both, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    pixel_term = "L2"
    context_term = None
    adversarial = True
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthWL2(StrokeSynthTrainer_Wang2020):
    """Table 1, w-L2: F_o -> pseudo-DWI by Eq. 7, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    context_term = None
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthWL2H1(StrokeSynthTrainer_Wang2020):
    """Table 1, w-L2 + l_h1, and Table 2, F_o: pseudo-DWI by Eq. 6, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthWL2H2(StrokeSynthTrainer_Wang2020):
    """Table 1, w-L2 + l_h2: Eq. 6 with the L2 norm in Eq. 8, then U-Net + CE on it."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    context_term = "l_h2"
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthPlainNorms(StrokeSynthTrainer_Wang2020):
    """Beside Table 1, ours: w-L2 + l_h1 with Eq. 7 and 8 as plain norms, as they are printed."""

    generator_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    pixel_term = "w-L2 norm"
    context_term = "l_h1 norm"
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthFoFl(StrokeSynthTrainer_Wang2020):
    """Table 2, F_o, F_l: maps and MIP -> pseudo-DWI, then U-Net + CE on it."""

    generator_inputs = (*PERFUSION_MAPS, "MIP")
    segmenter = UNet
    segmentation_terms = ("L_ce",)
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthFoFlFhStar(StrokeSynthTrainer_Wang2020):
    """Table 2, F_o, F_l, F_h*: the extractor without explicit supervision (no L_e)."""

    segmenter = UNet
    segmentation_terms = ("L_ce",)
    beta = 0.0
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_SynthFoFlFh(StrokeSynthTrainer_Wang2020):
    """Table 2, F_o, F_l, F_h: the proposed synthesis, then U-Net + CE on it."""

    segmenter = UNet
    segmentation_terms = ("L_ce",)
    stages = (SYNTHESIS, SEGMENTATION)


class StrokeSynthTrainer_RealDWIUNet(StrokeSynthTrainer_Wang2020):
    """Table 2, real DWI: U-Net + CE on the DWI itself (channel preset real_dwi)."""

    preset = "real_dwi"
    uses_dwi = False
    segmenter_inputs = ("DWI",)
    segmenter = UNet
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegFCN(StrokeSynthTrainer_Wang2020):
    """Table 3, FCN: 18.64 M parameters on F_o, CE."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = FCN
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegUNet(StrokeSynthTrainer_Wang2020):
    """Table 3, UNet: 31.04 M parameters on F_o, CE."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = UNet
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegR2UNet(StrokeSynthTrainer_Wang2020):
    """Table 3, R2UNet: 39.09 M parameters on F_o, CE."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = R2UNet
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegResUNet(StrokeSynthTrainer_Wang2020):
    """Table 3, ResUNet on F_o, CE; not the paper's 81.91 M, see ``resunet.py``."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = ResUNet
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegSLNet(StrokeSynthTrainer_Wang2020):
    """Table 3, SLNet, and Table 4, L_CE: 33.84 M parameters on F_o, CE."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegNoSE(StrokeSynthTrainer_Wang2020):
    """Table 3, SLNet without squeeze-and-excitation: 31.04 M parameters on F_o, CE."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = SLNetNoSE
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_SegNoSN(StrokeSynthTrainer_Wang2020):
    """Table 3, SLNet without switchable norm: 33.84 M parameters on F_o, CE."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmenter = SLNetNoSN
    segmentation_terms = ("L_ce",)


class StrokeSynthTrainer_LossDice(StrokeSynthTrainer_Wang2020):
    """Table 4, L_DICE: SLNet on F_o."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmentation_terms = ("L_dice",)


class StrokeSynthTrainer_LossGD(StrokeSynthTrainer_Wang2020):
    """Table 4, L_GD: SLNet on F_o."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmentation_terms = ("L_gd",)


class StrokeSynthTrainer_LossHGD(StrokeSynthTrainer_Wang2020):
    """Table 4, L_HGD: SLNet on F_o."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmentation_terms = ("L_hgd",)


class StrokeSynthTrainer_LossCEHGD(StrokeSynthTrainer_Wang2020):
    """Table 4, L_CE + L_HGD: SLNet on F_o."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS
    segmentation_terms = ("L_ce", "L_hgd")


class StrokeSynthTrainer_LossWCEHGD(StrokeSynthTrainer_Wang2020):
    """Table 4, L_WCE + L_HGD, and Table 5, F_o: SLNet on F_o with the full L_s."""

    uses_dwi = False
    segmenter_inputs = PERFUSION_MAPS


class StrokeSynthTrainer_FromCTA(StrokeSynthTrainer_Wang2020):
    """Table 5, CTA: SLNet on the six frames of the series."""

    uses_dwi = False
    segmenter_inputs = _CTA_FRAMES


class StrokeSynthTrainer_FromDWIo(StrokeSynthTrainer_Wang2020):
    """Table 5, DWI^o: end to end, the pseudo-DWI made from F_o."""

    generator_inputs = PERFUSION_MAPS


class StrokeSynthTrainer_FromDWIol(StrokeSynthTrainer_Wang2020):
    """Table 5, DWI^{o,l}: end to end, the pseudo-DWI made from F_o and the MIP."""

    generator_inputs = (*PERFUSION_MAPS, "MIP")


class StrokeSynthTrainer_Sequential(StrokeSynthTrainer_Wang2020):
    """Table 5, DWI^{o,l,h}(s): extractor, generator and SLNet trained one after the other."""

    stages = (EXTRACTOR, GENERATOR, SEGMENTATION)


class StrokeSynthTrainer_FromFoAndDWI(StrokeSynthTrainer_Wang2020):
    """Table 5, F_o + DWI^{o,l,h}: SLNet sees the maps beside the pseudo-DWI."""

    segmenter_inputs = (*PERFUSION_MAPS, PSEUDO_DWI)


class StrokeSynthTrainer_RealDWI(StrokeSynthTrainer_Wang2020):
    """Table 5, real DWI: SLNet on the DWI itself (channel preset real_dwi)."""

    preset = "real_dwi"
    uses_dwi = False
    segmenter_inputs = ("DWI",)


class StrokeSynthTrainer_FrozenContext(StrokeSynthTrainer_Wang2020):
    """Ours, in no table: a random context encoder that does not learn, so it cannot collapse."""

    frozen_context = True


class StrokeSynthTrainer_PlainNorms(StrokeSynthTrainer_Wang2020):
    """Beside Table 5, ours: the proposed system with Eq. 7 and 8 as plain norms.

    L_g then weighs 256 times (its context term 16 times) more against L_s in a 256x256 slice.
    """

    pixel_term = "w-L2 norm"
    context_term = "l_h1 norm"


class StrokeSynthTrainer_FullExtractor(StrokeSynthTrainer_Wang2020):
    """Beside Table 5, ours: the extractor as wide as the generator, "the UNet" of section 3.1."""

    extractor_width = 1.0


class StrokeSynthTrainer_Augmented(StrokeSynthTrainer_Wang2020):
    """Beside Table 5, ours: the proposed system with nnU-Net's augmentation."""

    augmented = True
