"""The papers' tables, row by row, through nnU-Net's own commands."""
