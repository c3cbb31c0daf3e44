"""Wang et al. 2020, Medical Image Analysis 65, 101787: pseudo-DWI synthesis, then SLNet.

The trainers are in ``trainer.py`` (the proposed system) and ``table_trainers.py`` (Tables 1 to 5),
the losses of Table 1 in ``loss.py``, the networks of Table 3 in ``fcn.py``, ``r2unet.py`` and
``resunet.py``, the GAN's in ``discriminator.py``; U-Net, SLNet and their wiring in ``../shared``.
"""
