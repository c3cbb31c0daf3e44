"""What is published of the winner of ISLES 2024."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import printed_table

PAPER = "Ren et al. 2025"
AVD = "absolute_volume_difference_ml"

TEST_SET = printed_table(
    {"windows, histogram equalisation, ResEnc-L": ((28.5, 21.3), (21.2, None))},
    keys=("dice", AVD),
    paper=PAPER,
    where="abstract",
    data="ISLES 2024 test set, hidden truth",
    digits=1,
    note="AVD as the challenge reports it (de la Rosa et al., arXiv 2408.10966)",
)
