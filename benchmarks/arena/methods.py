"""The competitors: stock nnU-Net, stock nnU-Net with each of our parts, and our trainers."""

from benchmarks.arena.settings import OURS, RESENC_PLANS, Method

METHODS = {
    method.name: method
    for method in (
        Method("stock", f"{OURS}_Stock", what="nnU-Net's own trainer on the 12 channels"),
        Method(
            "stock_pretrained",
            f"{OURS}_Stock",
            what="the same, starting from the other arena's stock",
            pretrained="stock",
        ),
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
                f"ours_{name}", f"ArenaTrainer_{trainer}", what=f"ours, {what}", synthesises=True
            )
            for name, trainer, what in (
                ("before", "Before", "the default before the last choice"),
                ("pseudo_dwi_alone", "PseudoDWIAlone", "segmenting the pseudo-DWI alone"),
                ("paper_scale", "PaperScale", "the paper's scale of the target"),
                ("batch_norm", "BatchNorm", "batch norm"),
                ("synthesis_bn", "SynthesisBatchNorm", "batch norm in the synthesis"),
                ("limited_rotation", "LimitedRotation", "limited rotation"),
                ("fixed_intensities", "FixedIntensities", "fixed intensities"),
                ("synthesis_channels", "SynthesisAllChannels", "all channels to the generator"),
                (
                    "synthesis_channels_bn",
                    "SynthesisAllChannelsBatchNorm",
                    "all channels to the generator, batch norm in the synthesis",
                ),
                (
                    "synthesis_lesion_head",
                    "SynthesisLesionHead",
                    "the same and a head for the lesion on the generator's features",
                ),
                (
                    "synthesis_adam",
                    "SynthesisAdam",
                    "all channels to the generator, batch norm and Adam in the synthesis",
                ),
                ("synthesis_all", "SynthesisAll", "all four of these"),
                (
                    "synthesis_lesion_weight",
                    "SynthesisLesionWeight",
                    "all channels, batch norm, a larger weight of the lesion in L_g",
                ),
                (
                    "l2_lesion_forgetful",
                    "LesionInL2Forgetful",
                    "channels, BN, lesion x 4 in L_g, half of the samples without pseudo-DWI",
                ),
                (
                    "synthesis_bn_factor",
                    "SynthesisBatchNormLesionFactor",
                    "batch norm in the synthesis, four times the lesion's weight in L_g",
                ),
                (
                    "synthesis_channels_factor",
                    "SynthesisChannelsLesionFactor",
                    "the same, all channels to the generator",
                ),
                ("no_context", "NoContext", "without the contextual term"),
                ("spread_context", "SpreadContext", "a context encoder kept alive"),
                ("warm_up", "WarmUp", "warm-up, then a tenth of L_s's gradient"),
                ("gaussian", "Gaussian", "a generator that draws mean and variance"),
                ("lesion_factor_adam", "LesionFactorAdam", "AdamW in the synthesis"),
                ("end_to_end", "EndToEnd", "the gradient of L_s reaches the synthesis"),
            )
        ),
        Method("tuned", f"{OURS}_Tuned", what="earlier versions' recipe", synthesises=True),
        Method("strokesynth", OURS, what="our default", synthesises=True),
        Method("no_dwi", f"{OURS}_NoDWI", what="our default without DWI: the segmenter alone"),
        Method(
            "segmenter_dice_ce",
            "ArenaTrainer_SegmenterDiceCE",
            what="no_dwi, nnU-Net's loss without deep supervision",
        ),
        Method(
            "stock_frames_as_one",
            "ArenaTrainer_StockFramesAsOne",
            what="stock with frames as one volume",
        ),
        Method("wang2020", f"{OURS}_Wang2020", what="Wang et al. to the letter", synthesises=True),
        Method(
            "soft_labels",
            "ArenaTrainer_SoftLabels",
            what="our default, machine outlines as probabilities",
            synthesises=True,
        ),
        Method(
            "no_dwi_soft_labels",
            "ArenaTrainer_NoDWISoftLabels",
            what="no_dwi, machine outlines as probabilities",
        ),
        Method(
            "slnet", f"{OURS}_LossWCEHGD", what="Wang et al.'s SLNet and recipe on perfusion maps"
        ),
    )
}
