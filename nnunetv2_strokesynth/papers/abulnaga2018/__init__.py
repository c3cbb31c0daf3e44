"""Abulnaga & Rubin 2018, BrainLes 2018 (LNCS 11383): PSPNet with focal loss.

The trainers (Fig. 3) are in ``trainers.py``, the networks in ``pspnet.py``, ``unet3d.py`` and
``vnet.py``, the PSPNet's learned weights in ``pretrained.py`` and ``pretraining_record.py``, Eq. 4
and 5 in ``loss.py``, the augmentation in ``augmentation.py``, the learning rate in
``plateau_schedule.py``.
"""
