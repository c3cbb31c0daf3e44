"""Inference beyond nnU-Net's own: one patient's scan, pseudo-DWI, uncertainty."""
