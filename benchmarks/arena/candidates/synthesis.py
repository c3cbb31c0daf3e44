"""Parts that may help the generator, exchanged in ``StrokeSynthTrainer``: ``recipes`` combines.

nnU-Net imports this file when it looks for trainers; there are none in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW

from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.losses.synthesis import known_dwi, mean_over_valid
from nnunetv2_strokesynth.networks.planned_unet import PlannedImageNet
from nnunetv2_strokesynth.networks.strokesynth_net import StrokeSynthNet


class LesionAwareGenerator(nn.Module):
    """A generator whose features are also read by a head for the lesion, in training only.

    The image has a layer of its own, so that L_s may teach the features what a lesion looks like
    without bending the image.

    Args:
        generator: made by ``planned_networks``.
        classes: of the head.

    Attributes:
        lesion_logits: (B, C, Y, X), of the last call in training.
    """

    def __init__(self, generator: PlannedImageNet, classes: int) -> None:
        super().__init__()
        self.generator = generator
        self.lesion = nn.Conv2d(generator.output.in_channels, classes, 1)
        self.lesion_logits: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, 1, Y, X)."""
        features = self.generator.unet(x)
        self.lesion_logits = self.lesion(features)
        return self.generator.output(features)


class GaussianGenerator(nn.Module):
    """A generator that draws mean and variance of the DWI; the mean is its image.

    Args:
        generator: made by ``planned_networks``.

    Attributes:
        log_variance: (B, 1, Y, X), of the last call.
    """

    def __init__(self, generator: PlannedImageNet) -> None:
        super().__init__()
        self.generator = generator
        self.spread = nn.Conv2d(generator.output.in_channels, 1, 1)
        self.log_variance: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, 1, Y, X)."""
        features = self.generator.unet(x)
        self.log_variance = self.spread(features)
        return self.generator.output(features)


class ForgetfulNet(StrokeSynthNet):
    """A network whose segmenter does without the pseudo-DWI in half of the training samples.

    The generator's image of a training scan is better than that of a new one. A segmenter that sees
    it in every sample trusts it more than it deserves. A missing image is one of zeros.
    """

    share = 0.5

    def synthesize(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As of ``StrokeSynthNet``."""
        pseudo_dwi, feature = super().synthesize(x)
        self.kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.share
        return pseudo_dwi, feature

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor | None, ...]:
        """As of ``StrokeSynthNet``."""
        if not torch.is_grad_enabled():
            return super().forward(x)
        pseudo_dwi, feature = self.synthesize(x)
        shown = torch.where(self.kept, pseudo_dwi.detach(), 0.0)
        others = [x[:, index : index + 1] for index in self.segmenter_indices]
        return self.segmenter(torch.cat((*others, shown), dim=1)), pseudo_dwi, feature


class _JointLossAndOneMore(nn.Module):
    """``JointLoss`` and a term that a candidate's generator is trained by, too.

    Args:
        joint: the joint loss.
        generator: not registered: its parameters belong to the network.
        weight: of the term.
    """

    term: str

    def __init__(self, joint: JointLoss, generator: nn.Module, weight: float = 1.0) -> None:
        super().__init__()
        self.joint = joint
        self.segmentation = joint.segmentation
        self.weight = weight
        self._generator = (generator,)
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The loss as a scalar; arguments as of ``JointLoss``."""
        loss = self.joint(output, target)
        self.terms = dict(self.joint.terms)
        further = self._further(self._generator[0], output, target)
        if further is None:
            return loss
        self.terms[self.term] = further.detach()
        return loss + self.weight * further

    def _further(
        self,
        generator: nn.Module,
        output: torch.Tensor | Sequence[torch.Tensor],
        target: Sequence[torch.Tensor],
    ) -> torch.Tensor | None:
        """Hook: the term; None where there is nothing to compute it from."""
        raise NotImplementedError


class LesionAwareLoss(_JointLossAndOneMore):
    """``JointLoss`` and, in training, L_s of the head of a ``LesionAwareGenerator``."""

    term = "generator_L_s"

    def __init__(self, joint: JointLoss, generator: LesionAwareGenerator, weight: float) -> None:
        super().__init__(joint, generator, weight)
        self._head_loss = SegmentationLoss()

    def _further(self, generator, output, target):
        if generator.lesion_logits is None or not torch.is_grad_enabled():
            return None
        return self._head_loss([generator.lesion_logits], target)


class GaussianLoss(_JointLossAndOneMore):
    """``JointLoss`` whose L_g of the pseudo-DWI is the DWI's likelihood by a ``GaussianGenerator``.

    The joint loss's alpha is 0, since the likelihood takes that term's place.
    """

    term = "synthesis_likelihood"

    def _further(self, generator, output, target):
        log_variance = generator.log_variance
        if log_variance is None or torch.is_tensor(output):
            return None
        labels, (dwi, valid), weight = target[0], known_dwi(target[1]), target[-1]
        weight = torch.where(labels > 0, self.joint.lesion_factor * weight, weight)
        surprise = (dwi - output[1].float()) ** 2 * torch.exp(-log_variance) + log_variance
        per_sample = (weight * surprise).mean(dim=(1, 2, 3)) / 2
        return mean_over_valid(per_sample, valid)


class SgdAndAdam(SGD):
    """nnU-Net's SGD for the first group of parameters, AdamW for the others.

    Args:
        sgd: of several groups, before its first step.
        lr: Adam's rate where SGD's is ``sgd_lr``; it follows the same schedule.
        sgd_lr: initial rate of SGD.
    """

    def __init__(self, sgd: SGD, lr: float, sgd_lr: float) -> None:
        super().__init__(sgd.param_groups, **sgd.defaults)
        self.factor = lr / sgd_lr
        self.adam = AdamW([p for group in self.param_groups[1:] for p in group["params"]], lr=lr)

    def step(self, closure: Any = None) -> Any:
        """One step of both."""
        for group in self.adam.param_groups:
            group["lr"] = self.factor * self.param_groups[0]["lr"]
        self.adam.step()
        for group in self.param_groups[1:]:
            for parameter in group["params"]:
                parameter.grad = None
        return super().step(closure)

    def state_dict(self) -> dict[str, Any]:
        """Both states."""
        return super().state_dict() | {"adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Both states."""
        own = dict(state_dict)
        self.adam.load_state_dict(own.pop("adam"))
        super().load_state_dict(own)
