"""Does the context encoder collapse while it learns? Reads the logs of two or more trainings.

Eq. 8 of Wang et al. 2020 is the distance between two outputs of an encoder that is trained to make
this distance small; nothing in the loss keeps its output from becoming a constant. The column
``context_spread`` in ``loss_terms.csv`` is the standard deviation of Phi_c(I_d) over real DWIs.

    python benchmarks/context_spread.py MODEL/fold_5 OTHER_MODEL/fold_5 -o context_spread.png

prints, for the first and the last epoch, the spread on validation batches and the distance between
pseudo-DWI and DWI in units of it, and draws the spread over the epochs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import figure_style, save_png


def read(fold: Path) -> pd.DataFrame:
    """Spread and distance of each epoch."""
    terms = pd.read_csv(fold / "loss_terms.csv")
    spread = terms["val/context_spread"]
    return pd.DataFrame(
        {
            "epoch": terms["epoch"],
            "spread": spread,
            "distance": terms["val/synthesis_context"],
            "distance in spreads": terms["val/synthesis_context"] / spread,
        }
    )


@figure_style()
def main() -> None:
    """Print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folds", nargs="+", type=Path, help="folders with a loss_terms.csv")
    parser.add_argument("-o", "--output", type=Path, default=Path("context_spread.png"))
    args = parser.parse_args()
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = []
    for fold in args.folds:
        name = fold.parent.name.split("__")[0].removeprefix("StrokeSynthTrainer_")
        history = read(fold)
        left.plot(history["epoch"], history["spread"], marker=".", label=name, clip_on=False)
        right.plot(history["epoch"], history["distance in spreads"], marker=".", label=name)
        rows += [
            {"trainer": name, **history.iloc[index].to_dict()} for index in (0, len(history) - 1)
        ]
    left.set(title="spread of the context vector over real DWIs", xlabel="epoch")
    right.set(title="distance pseudo-DWI to DWI / spread", xlabel="epoch")
    for axis in (left, right):
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend()
    left.margins(y=0.15)
    save_png(figure, args.output, dpi=120)
    sys.stdout.write(pd.DataFrame(rows).to_string(index=False, float_format="%.4g") + "\n")


if __name__ == "__main__":
    main()
