"""Channel names, order and units of the data sets we write: the only copy.

A preset names the channels that a system of the literature reads. The converter writes them in this
order, ``dataset.json`` repeats their names, and a trainer checks the names against its preset
before it starts.

Units: CT, MIP, MIP_P and CTA_k in HU; Tmax and MTT in s; CBF and CBV in the units of the release's
software (the ISLES 2018 maps come from RAPID; its CBF is not in mL/100 g/min); DWI as measured. Of
MRI: ADC in 1e-6 mm2/s as released; MTT, TTP and Tmax in s; rCBF and rCBV as released, without a
unit.
"""

from __future__ import annotations

from typing import NamedTuple

PERFUSION_MAPS = ("CBF", "CBV", "MTT", "Tmax")
MRI_MAPS = ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")
# Channels in HU, s or 1e-6 mm2/s: a value means the same in every scan. CTA_k are, too.
_PHYSICAL = frozenset({"CT", "MIP", "MIP_P", "MTT", "Tmax", "TTP", "ADC"})


def is_physical(name: str) -> bool:
    """Whether a channel has a unit that is the same for all scans (mirrored ones included)."""
    return name.removesuffix("_M") in _PHYSICAL or name.startswith("CTA_")


class Preset(NamedTuple):
    """The input channels of one published system.

    Attributes:
        names: channel names in the order in which they are stored.
        n_frames: how many frames of the CTP series (CTA_0, CTA_1, ...) are among them.
        smooth_window: whether the time-intensity curve is smoothed before the perfusion window is
        sought.
        source: the paper.
    """

    names: tuple[str, ...]
    n_frames: int
    smooth_window: bool
    source: str

    @property
    def channel_names(self) -> dict[str, str]:
        """``channel_names`` as ``dataset.json`` wants it: ``{"0": "CT", ...}``."""
        return numbered(self.names)

    def index(self, *names: str) -> list[int]:
        """Positions of the given channels; ``ValueError`` for a name that the preset lacks."""
        return [self.names.index(name) for name in names]

    @property
    def frame_indices(self) -> list[int]:
        """Positions of CTA_0, CTA_1, ... in time order."""
        return self.index(*(f"CTA_{k}" for k in range(self.n_frames)))


def numbered(names: tuple[str, ...]) -> dict[str, str]:
    """Channel names as ``dataset.json`` wants them: ``{"0": "CT", ...}``."""
    return {str(index): name for index, name in enumerate(names)}


def _frames(n_frames: int) -> tuple[str, ...]:
    return tuple(f"CTA_{k}" for k in range(n_frames))


PRESETS: dict[str, Preset] = {
    "wang2020": Preset(
        ("CT", *PERFUSION_MAPS, "MIP", *_frames(6)), 6, False, "Wang et al. 2020, section 3.1"
    ),
    "song2018": Preset(
        ("CT", *PERFUSION_MAPS, "MIP", "MIP_P", *_frames(11)),
        11,
        True,
        "Song & Huang 2018, section 2.1",
    ),
    "clerigues2019": Preset(
        ("CT", *PERFUSION_MAPS, "CT_M", *(f"{name}_M" for name in PERFUSION_MAPS)),
        0,
        False,
        "Clerigues et al. 2019, section 2.2",
    ),
    "real_dwi": Preset(("DWI",), 0, False, "Wang et al. 2020, Tables 2 and 5 (real DWI as input)"),
    "isles2017": Preset(MRI_MAPS, 0, False, "Gomez 2023, section 5.1"),
}


def check_channels(dataset_channel_names: dict[str, str], preset_name: str, trainer: str) -> None:
    """Compare the channels of a data set with those a trainer reads.

    Args:
        dataset_channel_names: ``channel_names`` of ``dataset.json``.
        preset_name: a key of ``PRESETS``.
        trainer: class name, for the message.

    Raises:
        ValueError: the names or their order differ.
    """
    expected = PRESETS[preset_name].names
    found = _in_order(dataset_channel_names)
    if found != expected:
        raise ValueError(
            f"{trainer} reads the channels {', '.join(expected)} but dataset.json lists "
            f"{', '.join(found)}. Convert the data set with `strokesynth convert ... --preset "
            f"{preset_name}`, then plan and preprocess it again."
        )


def check_subset(dataset_channel_names: dict[str, str], preset_name: str, trainer: str) -> None:
    """Compare the channels of a data set with those among which a trainer takes what it is given.

    Args:
        dataset_channel_names: ``channel_names`` of ``dataset.json``.
        preset_name: a key of ``PRESETS``.
        trainer: class name, for the message.

    Raises:
        ValueError: there is no channel, or one that the preset lacks, or one twice, or they are
            not in the preset's order.
    """
    known = PRESETS[preset_name].names
    found = _in_order(dataset_channel_names)
    if not found or found != tuple(name for name in known if name in found):
        raise ValueError(
            f"{trainer} reads any of the channels {', '.join(known)}, each once and in this order, "
            f"but dataset.json lists {', '.join(found) or 'none'}. Convert the data set with "
            f"`strokesynth convert {preset_name} ... --channels ...`, then plan and preprocess it "
            "again."
        )


def _in_order(dataset_channel_names: dict[str, str]) -> tuple[str, ...]:
    """The names of ``channel_names``, whose keys are numbers as text."""
    return tuple(dataset_channel_names[key] for key in sorted(dataset_channel_names, key=int))
