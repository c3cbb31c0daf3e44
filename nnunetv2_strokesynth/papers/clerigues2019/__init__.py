"""Clerigues et al. 2019, Computers in Biology and Medicine 115, 103487: small, balanced patches.

The trainers (Table 1) are in ``trainers.py``, the network in ``asymmetric_unet.py``, uncertainty
filtering in ``monte_carlo.py``, the sampling of patches in ``balanced_patches.py``, the loss and
the terms for early stopping in ``loss.py``.
"""
