"""The published systems that StrokeSynthTrainer is compared with: a folder each, and ``shared``.

In each folder ``tables.py`` says which trainer is which row of the paper's tables, and
``published.py`` holds the figures that the paper prints.
"""
