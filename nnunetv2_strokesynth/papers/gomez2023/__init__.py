"""Gomez 2023, master's thesis, Universidad Industrial de Santander: a cross-attention U-Net.

The trainers (CT and MRI) are in ``trainers.py``, what a head predicts in ``task.py``, the network
in ``cross_attention_unet.py`` with its ``attention_gate.py``, its heads inside nnU-Net in
``supervised_segmenter.py``, the boundary class in ``lesion_classes.py``, the loss in ``loss.py``,
the augmentation in ``augmentation.py`` and ``grid_distortion.py``, the learning rate in
``warm_up_cosine.py``.
"""
