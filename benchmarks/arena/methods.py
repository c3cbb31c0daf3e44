"""The competitors: stock nnU-Net, stock nnU-Net with each of our parts, and our trainers."""

from benchmarks.arena.settings import OURS, RESENC_PLANS, Method

METHODS = {
    method.name: method
    for method in (
        Method("stock", f"{OURS}_Stock", what="nnU-Net's own trainer on the 12 channels"),
        Method("stock_long", f"{OURS}_Stock", length=2.0, what="the same with twice the epochs"),
        Method("resenc_m", f"{OURS}_Stock", RESENC_PLANS, what="nnU-Net's ResEnc-M plans"),
        Method(
            "stock_limited_rotation",
            "ArenaTrainer_StockLimitedRotation",
            what="stock with limited rotation",
        ),
        Method(
            "stock_fixed_intensities",
            "ArenaTrainer_StockFixedIntensities",
            what="stock with fixed intensity normalisation",
        ),
        Method(
            "stock_threshold_calibration",
            "ArenaTrainer_StockThresholdCalibration",
            what="stock with threshold calibration",
        ),
        Method("stock_all_parts", "ArenaTrainer_StockAllParts", what="stock with all three"),
        *(
            Method(
                name,
                f"ArenaTrainer_{trainer}",
                what=f"our networks, {what}",
                synthesises=name != "plain_no_dwi",
            )
            for name, trainer, what in (
                ("plain", "Plain", "the plans' norm, none of the tuned parts"),
                ("plain_pseudo_dwi_alone", "PlainPseudoDWIAlone", "segmenting the pseudo-DWI"),
                ("plain_no_dwi", "PlainNoDWI", "the segmenter alone"),
                ("plain_paper_scale", "PlainPaperScale", "the paper's scale of the target"),
                ("plain_batch_norm", "PlainBatchNorm", "batch norm"),
                ("plain_synthesis_bn", "PlainSynthesisBatchNorm", "batch norm in the synthesis"),
                ("plain_limited_rotation", "PlainLimitedRotation", "limited rotation"),
                ("plain_fixed_intensities", "PlainFixedIntensities", "fixed intensities"),
                ("plain_warm_up", "PlainWarmUp", "warm-up, then a tenth of L_s's gradient"),
                ("plain_spread_context", "PlainSpreadContext", "a context encoder kept alive"),
            )
        ),
        Method("strokesynth", OURS, what="our default", synthesises=True),
        Method("no_dwi", f"{OURS}_NoDWI", what="our default without DWI: the segmenter alone"),
        Method(
            "slnet", f"{OURS}_LossWCEHGD", what="Wang et al.'s SLNet and recipe on perfusion maps"
        ),
    )
}
