"""A command of nnU-Net on one processor core: ``python one_thread.py nnUNetv2_train ...``.

With ``-device cpu`` nnU-Net takes all cores, whatever OMP_NUM_THREADS says. Two trainings that
share two cores take three times as long as two trainings on one core each.
"""

import multiprocessing
import sys
from importlib.metadata import entry_points

if __name__ == "__main__":
    multiprocessing.cpu_count = lambda: 1  # where nnU-Net asks how many threads to take
    del sys.argv[0]
    (command,) = entry_points(group="console_scripts", name=sys.argv[0])
    sys.exit(command.load()())
