"""What was tried on the way to ``StrokeSynthTrainer``'s recipe: one change each, for the arena.

nnU-Net finds these by ``nnUNet_extTrainer``, which the arena sets.
"""

import copy

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.planned_unet import planned_unet
from nnunetv2_strokesynth.networks.strokesynth_net import PSEUDO_DWI
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d
from nnunetv2_strokesynth.trainers.fixed_intensities import FixedIntensities
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer, StrokeSynthTrainer_NoDWI
from nnunetv2_strokesynth.trainers.threshold_calibration import ThresholdCalibration


class ArenaTrainer_StockUpright(LimitedRotation, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our augmentation."""


class ArenaTrainer_StockDecision(ThresholdCalibration, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our threshold calibration."""


class ArenaTrainer_StockPhysical(FixedIntensities, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our normalisation."""

    preset = "wang2020"


class ArenaTrainer_StockAll(
    LimitedRotation, ThresholdCalibration, FixedIntensities, StrokeSynthTrainer_Stock
):
    """Stock nnU-Net with all three."""

    preset = "wang2020"


class ArenaTrainer_AtOneHalf(StrokeSynthTrainer):
    """The threshold stays at a probability of one half."""

    def _calibrate_threshold(self) -> None:
        pass


class ArenaTrainer_Chain(StrokeSynthTrainer):
    """The segmenter sees the pseudo-DWI alone, trained end to end, as in Wang et al. 2020."""

    segmenter_inputs = (PSEUDO_DWI,)
    end_to_end = True
    alpha = beta = 1.0


class ArenaTrainer_EndToEnd(StrokeSynthTrainer):
    """The segmentation's gradient reaches generator and extractor."""

    end_to_end = True
    alpha = beta = 1.0


class ArenaTrainer_EqualWeights(StrokeSynthTrainer):
    """L_g weighs as much as L_s, as in the paper."""

    alpha = beta = 1.0


class ArenaTrainer_HeavySynthesis(StrokeSynthTrainer):
    """L_g weighs ten times as much as in ours."""

    alpha = beta = 300.0


class ArenaTrainer_WideSynthesis(StrokeSynthTrainer):
    """Generator as wide as the plans, extractor half as wide, and faster learning."""

    synthesis_width = 1.0
    alpha = beta = 100.0


class ArenaTrainer_FullWidth(StrokeSynthTrainer):
    """Generator as wide as the plans say, extractor half as wide."""

    synthesis_width = 1.0


class ArenaTrainer_SwitchableNorm(StrokeSynthTrainer):
    """The segmenter with switchable norm."""

    segmenter_norm = SwitchableNorm2d


class ArenaTrainer_PlansNorm(StrokeSynthTrainer):
    """Instance norm, which nnU-Net plans, in all networks."""

    segmenter_norm = None
    synthesis_norm = None


class ArenaTrainer_NoDWISwitchableNorm(StrokeSynthTrainer_NoDWI):
    """One network with switchable norm."""

    segmenter_norm = SwitchableNorm2d


class OneUNet(StrokeSynthTrainer):
    """What the candidates with a network of their own share: one planned U-Net."""

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """One planned U-Net, as ``_network`` makes it."""
        cls._check_inputs(configuration_manager, num_input_channels)
        architecture = configuration_manager.configuration["architecture"]
        heads = enable_deep_supervision
        return cls._network(architecture, num_input_channels, num_output_channels, heads)

    @classmethod
    def _network(cls, architecture: dict, n_inputs: int, n_outputs: int, heads: bool) -> nn.Module:
        """The network for so many channels and classes; ``heads`` is its ``return_heads``."""
        raise NotImplementedError

    @classmethod
    def _unet(cls, architecture: dict, n_inputs: int, n_outputs: int) -> nn.Module:
        norm = cls.segmenter_norm
        return planned_unet(architecture, n_inputs, n_outputs, norm_op=norm, squeeze_excite=True)


class BehindFront(OneUNet, StrokeSynthTrainer_NoDWI):
    """One U-Net behind a module that adds to the channels."""

    @classmethod
    def _front(cls, n_channels: int) -> tuple[nn.Module, int]:
        """The module and the number of channels that it returns."""
        raise NotImplementedError

    @classmethod
    def _network(cls, architecture: dict, n_inputs: int, n_outputs: int, heads: bool) -> nn.Module:
        front, n_seen = cls._front(n_inputs)
        segmenter = nn.Sequential(front, cls._unet(architecture, n_seen, n_outputs))
        return ChannelSegmenter(segmenter, range(n_inputs), return_heads=heads)

    def _last_layer(self) -> nn.Module:
        return self.unwrapped_network.segmenter[1].decoder.seg_layers[-1]


class BesideMirrored(nn.Module):
    """(B, C, Y, X) -> (B, 2 C, Y, X): slices and, behind them, their mirror images.

    Mirrored to the nearest pixel about the brain's mean column, or about the image's centre where
    there is no brain; what would come from outside repeats the last column.

    Args:
        brain_index: a channel that is 0 outside the brain and nowhere else.
    """

    def __init__(self, brain_index: int):
        super().__init__()
        self.brain_index = brain_index

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(x.shape[-1], device=x.device)
        source = (2 * self.midline_px(x)[:, None] - columns).round().long()
        source = source.clamp(0, x.shape[-1] - 1)[:, None, None, :]
        return torch.cat((x, x.gather(-1, source.expand(x.shape))), dim=1)

    def midline_px(self, x: torch.Tensor) -> torch.Tensor:
        """(B,) float32, 0 at the centre of the first column."""
        columns = torch.arange(x.shape[-1], device=x.device, dtype=torch.float32)
        pixels = (x[:, self.brain_index] != 0).sum(dim=1).float()  # in each column
        count = pixels.sum(dim=-1)
        mean = (pixels * columns).sum(dim=-1) / count.clamp_min(1.0)
        return torch.where(count > 0, mean, columns.mean())


class ArenaTrainer_NoDWIMirrored(BehindFront):
    """One network that sees the channels and their mirror images."""

    @classmethod
    def _front(cls, n_channels: int) -> tuple[nn.Module, int]:
        return BesideMirrored(*PRESETS[cls.preset].index("CBF")), 2 * n_channels


class TwoHeads(nn.Module):
    """One U-Net whose last layer gives the lesion's logits and the pseudo-DWI.

    (B, 12, Y, X) -> logits, or in training (logits, pseudo-DWI, None), as ``StrokeSynthNet``.
    """

    def __init__(self, unet: nn.Module, n_classes: int, *, return_heads: bool):
        super().__init__()
        self.segmenter = unet
        self.context_encoder = ContextEncoder()
        self.n_classes = n_classes
        self.return_heads = return_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor | None, ...]:
        heads = self.segmenter(x)
        logits, pseudo_dwi = heads[:, : self.n_classes], heads[:, self.n_classes :]
        return (logits, pseudo_dwi, None) if self.return_heads else logits


class ArenaTrainer_TwoHeads(OneUNet):
    """The DWI as a second target of the segmenter: no network in front of it."""

    alpha = beta = 1.0

    @classmethod
    def _network(cls, architecture: dict, n_inputs: int, n_outputs: int, heads: bool) -> nn.Module:
        unet = cls._unet(architecture, n_inputs, n_outputs + 1)
        return TwoHeads(unet, n_outputs, return_heads=heads)


class ArenaTrainer_NoDWIGentle(StrokeSynthTrainer_NoDWI):
    """One network; augmentation leaves HU and seconds what they are."""

    @classmethod
    def get_training_transforms(cls, *args, **kwargs):
        """nnU-Net's without brightness, contrast and gamma."""
        augmentation = super().get_training_transforms(*args, **kwargs)
        augmentation.transforms = [t for t in augmentation.transforms if not _changes_units(t)]
        return augmentation


def _changes_units(transform: BasicTransform) -> bool:
    inner = getattr(transform, "transform", None)
    changing = (MultiplicativeBrightnessTransform, ContrastTransform, GammaTransform)
    return isinstance(inner, changing)


class ArenaTrainer_NoDWIPlansNorm(StrokeSynthTrainer_NoDWI):
    """One network with instance norm, which nnU-Net plans."""

    segmenter_norm = None


class BesideVoxelFeatures(nn.Module):
    """(B, C, Y, X) -> (B, C + F, Y, X): the channels and what single voxels tell, without a norm.

    A small network on each voxel by itself. It has no norm, so that limits in HU and seconds can
    be learned however the network behind it normalises its features.
    """

    def __init__(self, channels: int, features: int, hidden: int = 32):
        super().__init__()
        self.voxels = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.LeakyReLU(0.01),
            nn.Conv2d(hidden, features, 1),
            nn.LeakyReLU(0.01),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.voxels(x)), dim=1)


class ArenaTrainer_NoDWIVoxels(BehindFront):
    """One network, with features of single voxels in front."""

    n_features = 16

    @classmethod
    def _front(cls, n_channels: int) -> tuple[nn.Module, int]:
        front = BesideVoxelFeatures(n_channels, features=cls.n_features)
        return front, n_channels + cls.n_features


class ArenaTrainer_NoDWIDropout(OneUNet, StrokeSynthTrainer_NoDWI):
    """One network with dropout of whole feature maps after every convolution.

    nnU-Net's plans know dropout, its planner does not use it.
    """

    p_dropout = 0.2

    @classmethod
    def _network(cls, architecture: dict, n_inputs: int, n_outputs: int, heads: bool) -> nn.Module:
        architecture = copy.deepcopy(architecture)
        dropout = {"dropout_op": "torch.nn.Dropout2d", "dropout_op_kwargs": {"p": cls.p_dropout}}
        architecture["arch_kwargs"] |= dropout
        unet = cls._unet(architecture, n_inputs, n_outputs)
        return ChannelSegmenter(unet, range(n_inputs), return_heads=heads)


def mixed_halves(
    data: torch.Tensor, targets: list[torch.Tensor], probability: float
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Beyond a straight line, some samples of a batch show another one of it.

    Args:
        data: (B, C, Y, X).
        targets: (B, 1, Y, X) each, mixed alike.
        probability: of each sample.
    """
    n_samples, _, height, width = data.shape
    angle = 2 * torch.pi * torch.rand(n_samples, 1, 1)
    offset = 0.5 * (torch.rand(n_samples, 1, 1) - 0.5)
    y = torch.linspace(-0.5, 0.5, height)[None, :, None]
    x = torch.linspace(-0.5, 0.5, width)[None, None, :]
    beyond = torch.cos(angle) * x + torch.sin(angle) * y > offset
    beyond &= torch.rand(n_samples, 1, 1) < probability
    beyond = beyond[:, None].to(data.device)
    other = torch.randperm(n_samples)
    data = torch.where(beyond, data[other], data)
    return data, [torch.where(beyond, target[other], target) for target in targets]


class ArenaTrainer_NoDWIMixed(StrokeSynthTrainer_NoDWI):
    """One network, trained on slices made of two."""

    p_mixed = 0.5

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step."""
        data, target = mixed_halves(batch["data"], batch["target"], self.p_mixed)
        return super().train_step(batch | {"data": data, "target": target})
