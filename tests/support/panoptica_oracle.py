"""What panoptica says about the masks of ``lesion_masks``, with the settings of ISLES 2024.

panoptica (BrainLesion, Apache-2.0) holds numpy below 2.3, pandas below 3 and cc3d below 4, so it
lives in an environment of its own, and its answers in ``tests/evaluation/panoptica_answers.json``::

    python -m venv .venv-oracle
    .venv-oracle/bin/pip install "panoptica>=2"
    .venv-oracle/bin/python tests/support/panoptica_oracle.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

ANSWERS = Path(__file__).parents[1] / "evaluation" / "panoptica_answers.json"


def panoptica_counts() -> Callable[[np.ndarray, np.ndarray], list]:
    """A function of two masks that gives ``[n_gt, n_pred, matched, rq]``; needs panoptica."""
    import panoptica

    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.SEMANTIC,
        instance_approximator=panoptica.ConnectedComponentsInstanceApproximator(),
        instance_matcher=panoptica.NaiveThresholdMatching(matching_threshold=0.2),
        instance_metrics=[panoptica.Metric.IOU],
        global_metrics=[],
    )

    def counts(gt: np.ndarray, pred: np.ndarray) -> list:
        found = evaluator.evaluate(pred.astype(int), gt.astype(int), verbose=False)["ungrouped"]
        found = found[0] if isinstance(found, tuple) else found
        numbers = [found.n_ref_instances, found.n_pred_instances, found.tp]
        rq = None if np.isnan(found.rq) else float(found.rq)  # NaN where both are empty
        return [*map(int, numbers), rq]

    return counts


def main() -> None:
    """Write the answers."""
    from importlib.metadata import version

    from lesion_masks import mask_pairs

    counts = panoptica_counts()
    answers = {name: counts(*pair) for name, pair in mask_pairs().items()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(a)}" for name, a in answers.items())
    ANSWERS.write_text(f'{{\n  "panoptica": "{version("panoptica")}",\n{lines}\n}}\n')


if __name__ == "__main__":
    main()
