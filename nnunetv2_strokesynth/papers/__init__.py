"""The published systems that StrokeSynthTrainer is compared with: a folder each, and ``shared``."""
