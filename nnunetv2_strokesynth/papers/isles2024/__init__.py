"""Ren et al. 2025 (arXiv 2505.18424): the winner of ISLES 2024, by preprocessing.

The preset ``isles2024`` makes the channels (``ctp/intensity_windows.py``); network and recipe are
nnU-Net's own, so there is no trainer here.
"""
