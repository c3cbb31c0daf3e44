"""The tables of Wang et al. 2020, row by row, through nnU-Net's own commands."""
