"""Names, order and units of channels and modalities: the only copy.

A preset lists the channels that a system of the literature reads. The converter writes them in this
order, ``dataset.json`` repeats their names, and a trainer compares those names with its preset
before it starts.

Units: CT, CT_Z, CTA, MIP, MIP_P and CTA_k are in HU; Tmax and MTT in s; CBF and CBV in the units
of the release's software (the ISLES 2018 maps come from RAPID, whose CBF is not in mL/100 g/min);
the DWI is as measured; the channels EQ_CBF, EQ_CTA and so on are shares from 0 to 1. In MRI, ADC is
in 1e-6 mm2/s as released; MTT, TTP and Tmax are in s; rCBF and rCBV are as released, without a
unit.
"""

from __future__ import annotations

from typing import NamedTuple

# Modalities of a scan, as the files of the ISLES challenges call them: OT is the lesion.
CT, CTP, DWI, LESION = "CT", "4DPWI", "DWI", "OT"
# A mask that the user gives, of HD-BET or SynthStrip.
BRAIN_MASK = "brain mask"
PERFUSION_MAPS = ("CBF", "CBV", "MTT", "Tmax")
# The CT under a name that nnU-Net does not know as that of a CT: z-scored scan by scan.
CT_Z = "CT_Z"
# CT angiography, in a channel after those of a preset (CTA_0, CTA_1, ... are frames of the CTP), or
# windowed and equalised, as ``EQ_<name>`` is.
CTA = "CTA"
EQUALISED = "EQ_"
MRI_MAPS = ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")
# The images of which ``<name>_M`` is the mirrored channel.
MIRRORED = (CT, *PERFUSION_MAPS)

# In HU, s or 1e-6 mm2/s, where a value means the same in every scan. So are CTA_0, CTA_1, ...
_FIXED_UNIT = frozenset({CT, CT_Z, CTA, "MIP", "MIP_P", "MTT", "Tmax", "TTP", "ADC"})
_MADE_FROM_CTP = frozenset(
    {
        *(CT, CT_Z, CTA, *PERFUSION_MAPS, "MIP", "MIP_P", DWI),
        *(f"{name}_M" for name in MIRRORED),
        *(EQUALISED + name for name in (*PERFUSION_MAPS, CTA)),
    }
)


def has_fixed_unit(name: str) -> bool:
    """Whether a channel's unit is the same in all scans; a mirrored channel keeps its unit."""
    return name.removesuffix("_M") in _FIXED_UNIT or name.startswith("CTA_")


def is_of_series(name: str) -> bool:
    """Whether a channel is a frame of the CTP series or its maximum over time: one volume in HU."""
    return name in ("MIP", "MIP_P") or name.startswith("CTA_")


class Preset(NamedTuple):
    """The input channels of one published system.

    Attributes:
        names: channel names in the order in which they are stored.
        n_frames: how many frames of the CTP series (CTA_0, CTA_1, ...) are among them.
        first_pass: whether the perfusion window ends with the first pass of the bolus, sought in a
            smoothed curve, and not with its washout.
        source: the paper.
    """

    names: tuple[str, ...]
    n_frames: int
    first_pass: bool
    source: str

    @property
    def channel_names(self) -> dict[str, str]:
        """The entry ``channel_names`` of ``dataset.json``: ``{"0": "CT", ...}``."""
        return numbered(self.names)

    @property
    def made_from_ctp(self) -> bool:
        """Whether ``ctp.input_channels`` makes all channels, from a CTP scan and its DWI."""
        return all(name in _MADE_FROM_CTP or name.startswith("CTA_") for name in self.names)

    def without_frames(self) -> Preset:
        """The channels but for those made of sampled frames, which take a second walk through the
        series and most of the memory, and which no check looks at."""
        kept = (name for name in self.names if name != "MIP_P" and not name.startswith("CTA_"))
        return self._replace(names=tuple(kept), n_frames=0)

    @property
    def images(self) -> frozenset[str]:
        """The images that its channels show: ``CT`` for ``CT_Z``, ``CBF`` for ``EQ_CBF``."""
        plain = (name.removeprefix(EQUALISED).removesuffix("_M") for name in self.names)
        return frozenset(CT if name == CT_Z else name for name in plain)

    @property
    def reads_cta(self) -> bool:
        """Whether a CT angiography is among the images that its channels are made from."""
        return CTA in self.names or EQUALISED + CTA in self.names

    def with_cta(self) -> Preset:
        """The channels and, after them, the CTA."""
        return self._replace(names=(*self.names, CTA))

    def index(self, *names: str) -> list[int]:
        """Positions of the given channels.

        Raises:
            ValueError: the preset lacks a name.
        """
        return [self.names.index(name) for name in names]

    @property
    def frame_indices(self) -> list[int]:
        """Positions of CTA_0, CTA_1, ... in time order."""
        return self.index(*(f"CTA_{k}" for k in range(self.n_frames)))


def numbered(names: tuple[str, ...]) -> dict[str, str]:
    """Channel names as ``dataset.json`` holds them: ``{"0": "CT", ...}``."""
    return {str(index): name for index, name in enumerate(names)}


def _frames(n_frames: int) -> tuple[str, ...]:
    return tuple(f"CTA_{k}" for k in range(n_frames))


PRESETS: dict[str, Preset] = {
    "wang2020": Preset(
        (CT, *PERFUSION_MAPS, "MIP", *_frames(6)), 6, False, "Wang et al. 2020, section 3.1"
    ),
    "song2018": Preset(
        (CT, *PERFUSION_MAPS, "MIP", "MIP_P", *_frames(11)),
        11,
        True,
        "Song & Huang 2018, section 2.1",
    ),
    "clerigues2019": Preset(
        (CT_Z, *PERFUSION_MAPS, *(f"{name}_M" for name in MIRRORED)),
        0,
        False,
        "Clerigues et al. 2019, section 2.2",
    ),
    "real_dwi": Preset((DWI,), 0, False, "Wang et al. 2020, Tables 2 and 5 (real DWI as input)"),
    "isles2024": Preset(
        tuple(EQUALISED + name for name in (*PERFUSION_MAPS, CTA)),
        0,
        False,
        "Ren et al. 2025, the winner of ISLES 2024",
    ),
    "isles2017": Preset(MRI_MAPS, 0, False, "Gomez 2023, section 5.1"),
}


def check_channels(dataset_channel_names: dict[str, str], preset_name: str, trainer: str) -> None:
    """Check that a data set has the channels of a trainer's preset, in its order.

    A CTA may follow, which trainers that pick their channels by name leave out.

    Args:
        dataset_channel_names: ``channel_names`` of ``dataset.json``.
        preset_name: a key of ``PRESETS``.
        trainer: class name, for the error message.

    Raises:
        ValueError: the names or their order differ.
    """
    expected = PRESETS[preset_name].names
    found = names_in_order(dataset_channel_names)
    if found not in (expected, (*expected, CTA)):
        raise ValueError(
            f"{trainer} reads the channels {', '.join(expected)} but dataset.json lists "
            f"{', '.join(found)}. Convert the data set with `strokesynth convert ... --preset "
            f"{preset_name}`, then plan and preprocess it again."
        )


def check_subset(dataset_channel_names: dict[str, str], preset_name: str, trainer: str) -> None:
    """Check that a data set has some of the channels of a trainer's preset, in its order.

    Args:
        dataset_channel_names: ``channel_names`` of ``dataset.json``.
        preset_name: a key of ``PRESETS``.
        trainer: class name, for the error message.

    Raises:
        ValueError: there is no channel; a channel is not in the preset or occurs twice; or the
            order is not the preset's.
    """
    known = PRESETS[preset_name].names
    found = names_in_order(dataset_channel_names)
    if not found or found != tuple(name for name in known if name in found):
        raise ValueError(
            f"{trainer} reads any of the channels {', '.join(known)}, each once and in this order, "
            f"but dataset.json lists {', '.join(found) or 'none'}. Convert the data set with "
            f"`strokesynth convert {preset_name} ... --channels ...`, then plan and preprocess it "
            "again."
        )


def names_of(names: tuple[str, ...], n_channels: int) -> tuple[str, ...]:
    """A preset's names for so many channels: with the CTA where there is one more."""
    return (*names, CTA) if n_channels == len(names) + 1 else names


def names_in_order(dataset_channel_names: dict[str, str]) -> tuple[str, ...]:
    """The names of ``channel_names`` in the order of its keys, which are numbers as text.

    The keys of a JSON file may stand in another order: "10" before "2" where they were sorted.
    """
    return tuple(dataset_channel_names[key] for key in sorted(dataset_channel_names, key=int))
