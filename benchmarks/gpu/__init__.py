"""All that depends on a GPU, measured in minutes: ``bash benchmarks/gpu.sh OUT``.

Each part is a process of its own (``child.py``) with a time limit. ``rounds.py`` starts them and
keeps what they found; ``settings.py`` lists them; ``page.py`` writes the tables. What compiles does
so ahead, side by side; then each process waits for its turn, and nothing else runs meanwhile.
"""
