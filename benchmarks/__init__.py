"""Measurements of speed, memory and accuracy; none of them is installed with the package.

``python -m benchmarks.NAME`` puts the folder of the checkout first in the search path. It holds the
package without ``dataset_conversion``, which has its place only once it is installed, so the
installed package goes first here.
"""

import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:] = [path for path in sys.path if Path(path).resolve() != _CHECKOUT]
sys.path.append(str(_CHECKOUT))
