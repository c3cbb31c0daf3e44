"""The competitors: stock nnU-Net and ours, then what was tried to improve ours."""

from settings import OURS, RESENC_PLANS, Method

METHODS = {
    method.name: method
    for method in (
        Method("stock", f"{OURS}_Stock", what="nnU-Net's own trainer on the 12 channels"),
        Method(
            "stock_long", f"{OURS}_Stock", length=2.5, what="the same, for as long as ours takes"
        ),
        Method("resenc_m", f"{OURS}_Stock", RESENC_PLANS, what="nnU-Net's ResEnc-M plans"),
        Method("strokesynth", OURS, what="our default"),
        Method("no_dwi", f"{OURS}_NoDWI", what="the same networks without DWI"),
        Method("slnet", f"{OURS}_LossWCEHGD", what="SLNet on F_o, the paper's recipe"),
        Method("stock_upright", "ArenaTrainer_StockUpright", what="stock, heads upright"),
        Method("stock_decision", "ArenaTrainer_StockDecision", what="stock, our decision"),
        Method("stock_both", "ArenaTrainer_StockBoth", what="stock, heads upright, our decision"),
        Method("at_one_half", "ArenaTrainer_AtOneHalf", what="ours, deciding at one half"),
        Method("chain", "ArenaTrainer_Chain", what="ours, segmenter on the pseudo-DWI alone"),
        Method("turned", "ArenaTrainer_Turned", what="ours, slices turned by any angle"),
        Method("chain_turned", "ArenaTrainer_ChainTurned", what="both: what ours began with"),
        Method("single", "ArenaTrainer_Single", what="ours without any synthesis"),
    )
}
