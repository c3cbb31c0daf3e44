"""Song & Huang 2018, BrainLes 2018 (LNCS 11383): the forerunner of Wang et al., winner of ISLES.

The trainers (Table 1) are in ``trainers.py``, Eq. 1 to 3 in ``loss.py``, the weight map of both
losses in ``signed_distance_weight_map.py``; the networks and radial distortion in ``../shared``.
"""
