"""Folders of the images that a network makes beside the lesion, below the output folder."""

from __future__ import annotations

FEATURE_FOLDER = "feature"
UNCERTAINTY_FOLDER = "uncertainty"
# Image -> folder; the pseudo-DWI lies in the output folder itself.
IMAGE_FOLDERS = {"pseudo_dwi": "", "feature": FEATURE_FOLDER, "uncertainty": UNCERTAINTY_FOLDER}
