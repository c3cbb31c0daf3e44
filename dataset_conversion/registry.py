"""All kinds of data set, by the name that is typed after ``strokesynth convert``."""

from __future__ import annotations

from nnunetv2_strokesynth.dataset_conversion.Dataset017_ISLES2017 import ISLES2017
from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import ISLES2018
from nnunetv2_strokesynth.dataset_conversion.Dataset024_ISLES2024 import ISLES2024
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind

KINDS: dict[str, DatasetKind] = {
    "isles2018": ISLES2018,
    "isles2017": ISLES2017,
    "isles2024": ISLES2024,
}
