"""The competitors: stock nnU-Net and ours, then what was tried to improve ours."""

from settings import OURS, RESENC_PLANS, Method

METHODS = {
    method.name: method
    for method in (
        Method("stock", f"{OURS}_Stock", what="nnU-Net's own trainer on the 12 channels"),
        Method(
            "stock_long", f"{OURS}_Stock", length=2.0, what="the same, for as long as ours takes"
        ),
        Method("resenc_m", f"{OURS}_Stock", RESENC_PLANS, what="nnU-Net's ResEnc-M plans"),
        Method("strokesynth", OURS, what="our default", synthesises=True),
        Method("no_dwi", f"{OURS}_NoDWI", what="our default without DWI: the segmenter alone"),
        Method("slnet", f"{OURS}_LossWCEHGD", what="SLNet on F_o, the paper's recipe"),
        Method("stock_upright", "ArenaTrainer_StockUpright", what="stock, heads upright"),
        Method("stock_decision", "ArenaTrainer_StockDecision", what="stock, our decision"),
        Method("stock_physical", "ArenaTrainer_StockPhysical", what="stock, HU and s as such"),
        Method("stock_all", "ArenaTrainer_StockAll", what="stock with all three"),
        Method("at_one_half", "ArenaTrainer_AtOneHalf", what="ours, deciding at one half"),
        Method("chain", "ArenaTrainer_Chain", what="ours, segmenter on the pseudo-DWI alone"),
        Method("end_to_end", "ArenaTrainer_EndToEnd", what="ours, L_s trains the generator, too"),
        Method("full_width", "ArenaTrainer_FullWidth", what="ours, generator as wide as the plans"),
        Method("switchable_norm", "ArenaTrainer_SwitchableNorm", what="ours with switchable norm"),
        Method("equal_weights", "ArenaTrainer_EqualWeights", what="ours, alpha and beta of 1"),
        Method(
            "heavy_synthesis", "ArenaTrainer_HeavySynthesis", what="ours, alpha and beta of 300"
        ),
        Method("wide_synthesis", "ArenaTrainer_WideSynthesis", what="wide generator, 100"),
        Method("plans_norm", "ArenaTrainer_PlansNorm", what="ours with instance norm"),
        Method("two_heads", "ArenaTrainer_TwoHeads", what="one network for lesion and DWI"),
        Method("no_dwi_mirrored", "ArenaTrainer_NoDWIMirrored", what="no_dwi, mirror images, too"),
        Method("no_dwi_gentle", "ArenaTrainer_NoDWIGentle", what="no_dwi, units kept"),
        Method("no_dwi_plans_norm", "ArenaTrainer_NoDWIPlansNorm", what="no_dwi, instance norm"),
        Method("no_dwi_voxels", "ArenaTrainer_NoDWIVoxels", what="no_dwi, features of voxels"),
        Method("no_dwi_dropout", "ArenaTrainer_NoDWIDropout", what="no_dwi, dropout 0.2"),
        Method("no_dwi_mixed", "ArenaTrainer_NoDWIMixed", what="no_dwi, slices made of two"),
        Method("no_dwi_sn", "ArenaTrainer_NoDWISwitchableNorm", what="no_dwi, switchable norm"),
    )
}
