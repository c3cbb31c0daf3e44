"""Measurements of speed, memory and accuracy; none of them is installed with the package."""
