"""Tables 1 to 6 of Wang et al. 2020: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.shared.paper_table import (
    ALL,
    PaperTable,
    TableRow,
    with_published,
)
from nnunetv2_strokesynth.papers.shared.published import (
    SEGMENTATION_KEYS,
    SYNTHESIS_KEYS,
    SYSTEM_KEYS,
)
from nnunetv2_strokesynth.papers.wang2020 import published

_table = partial(
    PaperTable, paper=published.PAPER, published_on="paper (ISLES 2018, 23 scans)", epochs=300
)
_synthesis = partial(TableRow, synthesis=True)

TABLE_1 = _table(
    name="table1",
    where="Table 1",
    title="loss functions of the pseudo-DWI synthesis (from F_o), segmented by a U-Net with CE",
    keys=SYNTHESIS_KEYS,
    rows=with_published(
        published.TABLE_1,
        (
            _synthesis("L1", "StrokeSynthTrainer_SynthL1"),
            _synthesis("L2", "StrokeSynthTrainer_SynthL2"),
            _synthesis("GAN", "StrokeSynthTrainer_SynthGAN"),
            _synthesis("L2 + GAN", "StrokeSynthTrainer_SynthL2GAN"),
            _synthesis("w-L2", "StrokeSynthTrainer_SynthWL2"),
            _synthesis("w-L2 + l_h1", "StrokeSynthTrainer_SynthWL2H1"),
            _synthesis("w-L2 + l_h2", "StrokeSynthTrainer_SynthWL2H2"),
        ),
    )
    + (_synthesis("w-L2 + l_h1, plain norms", "StrokeSynthTrainer_SynthPlainNorms"),),
    proposed="StrokeSynthTrainer_SynthWL2H1",
)

TABLE_2 = _table(
    name="table2",
    where="Table 2",
    title="inputs of the pseudo-DWI synthesis, segmented by a U-Net with CE",
    keys=SYNTHESIS_KEYS,
    rows=with_published(
        published.TABLE_2,
        (
            _synthesis("F_o", "StrokeSynthTrainer_SynthWL2H1"),
            _synthesis("F_o, F_l", "StrokeSynthTrainer_SynthFoFl"),
            _synthesis("F_o, F_l, F_h*", "StrokeSynthTrainer_SynthFoFlFhStar"),
            _synthesis("F_o, F_l, F_h", "StrokeSynthTrainer_SynthFoFlFh"),
            TableRow("Real DWI", "StrokeSynthTrainer_RealDWIUNet", real_dwi=True),
        ),
    ),
    proposed="StrokeSynthTrainer_SynthFoFlFh",
)

TABLE_3 = _table(
    name="table3",
    where="Table 3",
    title="segmentation networks (F_o, CE)",
    keys=SEGMENTATION_KEYS,
    rows=with_published(
        published.TABLE_3,
        (
            TableRow("FCN", "StrokeSynthTrainer_SegFCN"),
            TableRow("UNet", "StrokeSynthTrainer_SegUNet"),
            TableRow("R2UNet", "StrokeSynthTrainer_SegR2UNet"),
            TableRow("ResUNet", "StrokeSynthTrainer_SegResUNet"),
            TableRow("SLNet", "StrokeSynthTrainer_SegSLNet"),
            TableRow("SLNet (w/o SE)", "StrokeSynthTrainer_SegNoSE"),
            TableRow("SLNet (w/o SN)", "StrokeSynthTrainer_SegNoSN"),
        ),
    ),
    proposed="StrokeSynthTrainer_SegSLNet",
)

TABLE_4 = _table(
    name="table4",
    where="Table 4",
    title="segmentation losses (SLNet, F_o)",
    keys=SEGMENTATION_KEYS,
    rows=with_published(
        published.TABLE_4,
        (
            TableRow("L_CE", "StrokeSynthTrainer_SegSLNet"),
            TableRow("L_DICE", "StrokeSynthTrainer_LossDice"),
            TableRow("L_GD", "StrokeSynthTrainer_LossGD"),
            TableRow("L_HGD", "StrokeSynthTrainer_LossHGD"),
            TableRow("L_CE + L_HGD", "StrokeSynthTrainer_LossCEHGD"),
            TableRow("L_WCE + L_HGD", "StrokeSynthTrainer_LossWCEHGD"),
        ),
    ),
    proposed="StrokeSynthTrainer_LossWCEHGD",
)

TABLE_5 = _table(
    name="table5",
    where="Table 5",
    title="inputs of the segmentation (SLNet, L_s)",
    keys=SYSTEM_KEYS,
    rows=with_published(
        published.TABLE_5,
        (
            TableRow("CTA", "StrokeSynthTrainer_FromCTA"),
            TableRow("F_o", "StrokeSynthTrainer_LossWCEHGD"),
            TableRow("DWI^o", "StrokeSynthTrainer_FromDWIo"),
            TableRow("DWI^{o,l}", "StrokeSynthTrainer_FromDWIol"),
            TableRow("DWI^{o,l,h}", "StrokeSynthTrainer_Wang2020"),
            TableRow("DWI^{o,l,h}(s)", "StrokeSynthTrainer_Sequential"),
            TableRow("F_o + DWI^{o,l,h}", "StrokeSynthTrainer_FromFoAndDWI"),
            TableRow("Real DWI", "StrokeSynthTrainer_RealDWI", real_dwi=True),
        ),
    )
    + (
        TableRow("DWI^{o,l,h}, plain norms", "StrokeSynthTrainer_PlainNorms"),
        TableRow("DWI^{o,l,h}, full-width extractor", "StrokeSynthTrainer_FullExtractor"),
        TableRow("DWI^{o,l,h}, nnU-Net's augmentation", "StrokeSynthTrainer_Augmented"),
        TableRow("DWI^{o,l,h}, random context encoder", "StrokeSynthTrainer_FrozenContext"),
    ),
    proposed="StrokeSynthTrainer_Wang2020",
)

TABLE_6 = _table(
    name="table6",
    where="Table 6",
    title="test set of ISLES 2018, trained on all training scans",
    keys=("dice", "precision", "recall"),
    rows=with_published(
        published.TABLE_6,
        (
            TableRow("Wang et al. (in the paper: Ours)", "StrokeSynthTrainer_Wang2020"),
            TableRow("Liu (2018)", ""),
            TableRow("Chen et al.", ""),
            TableRow("Hu et al.", ""),
            TableRow("Garcia et al.", ""),
        ),
    ),
    proposed="StrokeSynthTrainer_Wang2020",
    published_on="paper (ISLES 2018 test set, 62 scans)",
    default_folds=(ALL,),
    on_test_set=True,
)

TABLES = (TABLE_1, TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6)
