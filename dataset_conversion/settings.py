"""How a data set is written: the choices that a second run into the same folder must repeat."""

from __future__ import annotations

from dataclasses import dataclass

from nnunetv2_strokesynth.channels import (
    PRESETS,
    Preset,
    numbered,
)
from nnunetv2_strokesynth.io.orientation import CANONICAL, ORIENTATION_KEY


@dataclass(frozen=True)
class Settings:
    """The choices of one conversion, all into one order of axes.

    The order is kept with them: version 0.1 left every scan in its own order, and cases of both
    must not be mixed in one data set.

    Attributes:
        preset: a key of ``PRESETS``.
        brain_mask: whether everything outside the brain becomes 0.
        folds: number of folds of patients.
        seed: seed of the folds.
        channels: the preset's channels that are written, in its order; None for a kind of data
            set that always has all of them.
        downsample: number of pixels along x and along y that become one.
        compute_maps: whether perfusion maps are computed where a scan has none.
        frame_s: time between frames in s, for computing maps; None takes it from the sidecar or
            the header.
        brain_masks: whether the brain masks come from elsewhere.
        cta: whether the CTA is a channel, after those of the preset.
    """

    preset: str
    brain_mask: bool
    folds: int
    seed: int
    channels: tuple[str, ...] | None = None
    downsample: int = 1
    compute_maps: bool = False
    frame_s: float | None = None
    brain_masks: bool = False
    cta: bool = False

    @property
    def channel_preset(self) -> Preset:
        """The preset, with the CTA where it is wanted."""
        preset = PRESETS[self.preset]
        return preset.with_cta() if self.cta else preset

    @property
    def channel_names(self) -> dict[str, str]:
        """``channel_names`` of ``dataset.json``."""
        return numbered(self.channels or self.channel_preset.names)

    @property
    def of_voxels(self) -> dict[str, object]:
        """What the written voxels depend on besides the scan's files; kept in a case's record."""
        return {
            "preset": self.preset,
            "brain_mask": self.brain_mask,
            ORIENTATION_KEY: CANONICAL,
            **self._not_default(),
        }

    @property
    def of_data_set(self) -> dict[str, object]:
        """All settings, as JSON gives them back; kept in the data set's folder."""
        always = {name: getattr(self, name) for name in ("preset", "brain_mask", "folds", "seed")}
        return always | {ORIENTATION_KEY: CANONICAL} | self._not_default()

    def _not_default(self) -> dict[str, object]:
        """The further settings, without those that have their default: empty in most data sets."""
        content: dict[str, object] = {}
        if self.channels is not None:
            content["channels"] = list(self.channels)
        if self.downsample != 1:
            content["downsample"] = self.downsample
        if self.compute_maps:
            content["compute_maps"] = True
        if self.frame_s is not None:
            content["frame_s"] = self.frame_s
        if self.brain_masks:
            content["brain_masks"] = True
        if self.cta:
            content["cta"] = True
        return content
