"""Stroke lesion segmentation from CT perfusion by pseudo-DWI synthesis, as an nnU-Net v2 plugin."""

__version__ = "0.1.0"
