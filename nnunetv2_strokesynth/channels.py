"""Channel names, order and units of the data sets we write: the only copy.

A preset names the channels that a system of the literature reads. The converter writes them in this
order, ``dataset.json`` repeats their names, and a trainer checks the names against its preset
before it starts.

Units: CT, MIP, MIP_P and CTA_k in HU; Tmax and MTT in s; CBF and CBV in the units of the release's
software (the ISLES 2018 maps come from RAPID; its CBF is not in mL/100 g/min); DWI as measured.
"""

from __future__ import annotations

from typing import NamedTuple

PERFUSION_MAPS = ("CBF", "CBV", "MTT", "Tmax")


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
        return {str(index): name for index, name in enumerate(self.names)}

    def index(self, *names: str) -> list[int]:
        """Positions of the given channels; ``ValueError`` for a name that the preset lacks."""
        return [self.names.index(name) for name in names]

    @property
    def frame_indices(self) -> list[int]:
        """Positions of CTA_0, CTA_1, ... in time order."""
        return self.index(*(f"CTA_{k}" for k in range(self.n_frames)))


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
    found = tuple(dataset_channel_names[key] for key in sorted(dataset_channel_names, key=int))
    if found != expected:
        raise ValueError(
            f"{trainer} reads the channels {', '.join(expected)} but dataset.json lists "
            f"{', '.join(found)}. Convert the data set with `strokesynth convert ... --preset "
            f"{preset_name}`, then plan and preprocess it again."
        )
