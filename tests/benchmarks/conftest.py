"""Benchmarks are not installed: the checkout goes to the end of the search path.

At the front, its ``nnunetv2_strokesynth`` would hide the installed one.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
