"""Tables 1 to 4 of Wang et al. 2020 as printed: the ablations. Tables 5 and 6 are in ``published``.

A report leaves them out, because they are of parts, not of a whole system; ``strokesynth
reproduce`` puts them beside what our trainings reach. A row that the paper prints again in its next
table (w-L2 + l_h1, SLNet with cross entropy, L_WCE + L_HGD) is copied once for each table.
"""

from __future__ import annotations

from nnunetv2_strokesynth.reporting.published import (
    WANG_LOCAL_TEST,
    Published,
    Value,
)

SYNTHESIS_KEYS = ("ssim_global", "ssim_local", "psnr_global_db", "psnr_local_db", "dice")
SEGMENTATION_KEYS = ("precision", "recall", "dice", "hausdorff_mm", "assd_mm")
# Of a network, in millions; not a quantity that is measured per case.
PARAMETERS = "parameters_million"


def _row(table: int, keys: tuple[str, ...], method: str, *values: Value) -> Published:
    return Published(
        "Wang et al. 2020",
        f"Table {table}",
        method,
        WANG_LOCAL_TEST,
        2,
        dict(zip(keys, values, strict=True)),
    )


def _network(method: str, parameters_million: float, *values: Value) -> Published:
    keys = (PARAMETERS, *SEGMENTATION_KEYS)
    return _row(3, keys, method, (parameters_million, None), *values)


ABLATIONS: tuple[Published, ...] = (
    _row(1, SYNTHESIS_KEYS, "L1", (0.82, 0.11), (0.47, 0.16), (19.36, 4.11), (13.60, 4.25),
         (49.45, 21.20)),
    _row(1, SYNTHESIS_KEYS, "L2", (0.83, 0.11), (0.51, 0.17), (19.41, 3.63), (13.82, 4.18),
         (50.04, 19.38)),
    _row(1, SYNTHESIS_KEYS, "GAN", (0.81, 0.11), (0.37, 0.17), (17.57, 4.27), (13.45, 4.75),
         (41.53, 25.08)),
    _row(1, SYNTHESIS_KEYS, "L2 + GAN", (0.78, 0.12), (0.52, 0.14), (18.30, 3.91), (13.22, 4.52),
         (48.77, 20.73)),
    _row(1, SYNTHESIS_KEYS, "w-L2", (0.83, 0.09), (0.53, 0.15), (19.43, 3.42), (13.99, 4.01),
         (50.95, 21.03)),
    _row(1, SYNTHESIS_KEYS, "w-L2 + l_h1", (0.83, 0.10), (0.54, 0.13), (19.26, 3.32),
         (13.20, 3.38), (51.25, 17.43)),
    _row(1, SYNTHESIS_KEYS, "w-L2 + l_h2", (0.83, 0.11), (0.53, 0.15), (19.22, 3.40),
         (13.80, 3.41), (51.02, 21.41)),
    _row(2, SYNTHESIS_KEYS, "F_o", (0.83, 0.10), (0.54, 0.13), (19.26, 3.32), (13.20, 3.38),
         (51.25, 17.43)),
    _row(2, SYNTHESIS_KEYS, "F_o, F_l", (0.84, 0.12), (0.56, 0.15), (20.01, 3.69), (13.90, 4.04),
         (53.94, 14.39)),
    _row(2, SYNTHESIS_KEYS, "F_o, F_l, F_h*", (0.84, 0.11), (0.58, 0.16), (20.16, 3.97),
         (14.05, 4.04), (54.61, 20.19)),
    _row(2, SYNTHESIS_KEYS, "F_o, F_l, F_h", (0.85, 0.12), (0.59, 0.12), (20.02, 3.51),
         (14.11, 3.98), (55.10, 16.20)),
    _row(2, ("dice",), "Real DWI", (72.17, 19.54)),
    _network("FCN", 18.64, (52.69, 25.28), (53.10, 33.47), (45.75, 24.59), (48.75, 30.83),
             (3.78, 5.37)),
    _network("UNet", 31.04, (63.50, 22.22), (48.50, 24.55), (49.94, 19.51), (21.52, 13.84),
             (2.54, 3.34)),
    _network("R2UNet", 39.09, (51.85, 17.99), (60.05, 21.14), (52.34, 16.62), (26.74, 15.04),
             (2.56, 2.21)),
    _network("ResUNet", 81.91, (66.46, 19.32), (52.36, 24.12), (52.49, 18.66), (23.50, 15.48),
             (2.22, 2.04)),
    _network("SLNet", 33.84, (51.20, 22.00), (64.20, 23.99), (54.45, 21.23), (23.97, 17.61),
             (2.74, 3.44)),
    _network("SLNet (w/o SE)", 31.04, (69.00, 22.90), (51.54, 19.81), (53.41, 14.31),
             (21.26, 12.32), (2.16, 1.90)),
    _network("SLNet (w/o SN)", 33.84, (68.14, 21.08), (48.32, 23.31), (52.01, 20.69),
             (21.50, 15.63), (2.57, 2.78)),
    _row(4, SEGMENTATION_KEYS, "L_CE", (51.20, 22.00), (64.20, 23.99), (54.45, 21.23),
         (23.97, 17.61), (2.74, 3.44)),
    _row(4, SEGMENTATION_KEYS, "L_DICE", (67.48, 25.25), (45.45, 21.81), (51.57, 20.98),
         (24.43, 18.48), (2.47, 2.56)),
    _row(4, SEGMENTATION_KEYS, "L_GD", (55.07, 22.10), (62.13, 17.09), (54.98, 17.16),
         (36.87, 29.61), (3.45, 3.37)),
    _row(4, SEGMENTATION_KEYS, "L_HGD", (52.40, 20.71), (66.83, 18.98), (55.30, 17.78),
         (30.86, 20.10), (2.81, 2.61)),
    _row(4, SEGMENTATION_KEYS, "L_CE + L_HGD", (57.31, 22.87), (66.37, 17.85), (57.82, 17.33),
         (21.58, 12.69), (1.96, 1.84)),
    _row(4, SEGMENTATION_KEYS, "L_WCE + L_HGD", (55.20, 20.99), (73.51, 17.48), (59.37, 15.73),
         (22.29, 13.67), (1.90, 2.05)),
)  # fmt: skip
