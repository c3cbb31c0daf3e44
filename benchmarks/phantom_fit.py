"""Fit the phantom's physics to the targets of ``phantom_targets.py``.

    python -m benchmarks.phantom_fit --cases 28 --rounds 40 --out phantom_fit.json

A random search from the present physics: each round changes a few of the named parameters by a
step within their bounds, measures the same scans again, and keeps what lowers the score. Steps
shrink after rounds without success. The scans' seed differs from the one that
``phantom_targets.py`` reports on.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.phantom_targets import LESION_RATIO, TARGETS, Target, measure, score
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.phantom import case, patient
from nnunetv2_strokesynth.phantom.anatomy import Head, HeadShape, SlabGrid, build_head
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS, Densities, Physics

logger = logging.getLogger(__name__)
FIT_SEED = 301
FIT_TARGETS = (*(t for t in TARGETS if not t.name.startswith("lesions ")), LESION_RATIO)
_CHANGED_AT_ONCE = 3
_FIRST_STEP, _LAST_STEP = 0.35, 0.04
_SHRINK = 0.93


@dataclass(frozen=True)
class Parameter:
    """A number of the physics, and the bounds within which it is plausible.

    ``index`` picks a member where the field is a tuple.
    """

    group: str
    field: str
    low: float
    high: float
    index: int | None = None

    def value(self, physics: Physics) -> float:
        found = getattr(getattr(physics, self.group), self.field)
        return float(found if self.index is None else found[self.index])

    def set(self, physics: Physics, value: float) -> Physics:
        group = getattr(physics, self.group)
        rounded: object = float(f"{value:.3g}")
        if self.index is not None:
            members = list(getattr(group, self.field))
            members[self.index] = rounded
            rounded = tuple(members)
        return replace(physics, **{self.group: replace(group, **{self.field: rounded})})

    @property
    def name(self) -> str:
        place = "" if self.index is None else f"[{self.index}]"
        return f"{self.group}.{self.field}{place}"


PARAMETERS = (
    Parameter("ct", "ctp_noise_hu_mm", 17.0, 24.0),
    Parameter("ct_maps", "smoothing_sigma_mm", 2.6, 4.2),
    Parameter("ct_maps", "svd_threshold", 0.08, 0.20),
    Parameter("ct_maps", "reference_mtt_s", 4.0, 5.5),
    Parameter("stroke", "depth_range", 0.75, 0.97, 0),
    Parameter("stroke", "softness_range", 0.10, 0.30, 0),
    Parameter("stroke", "softness_range", 0.30, 0.60, 1),
    Parameter("stroke", "tolerance_range", 0.40, 0.70, 0),
    Parameter("stroke", "tolerance_range", 0.70, 0.88, 1),
    Parameter("stroke", "tolerance_sd_range", 0.06, 0.22, 1),
    Parameter("stroke", "flow_loss", 0.90, 0.98),
    Parameter("stroke", "flow_exponent", 0.45, 1.0),
    Parameter("stroke", "failure_severity", 0.45, 0.80),
    Parameter("stroke", "volume_loss", 0.65, 0.92),
    Parameter("stroke", "delay_saturation", 0.08, 0.45),
    Parameter("stroke", "collateral_delay_sd", 0.10, 0.40),
    Parameter("stroke", "collateral_delay_range_s", 4.0, 7.0, 0),
    Parameter("stroke", "collateral_delay_range_s", 7.0, 11.0, 1),
)


def remember_heads() -> None:
    """Build each head of this process once: of all physics it depends on the densities only."""
    heads: dict[tuple, Head] = {}

    def build(
        grid: SlabGrid,
        shape: HeadShape,
        densities: Densities,
        *,
        supersample: tuple[int, int] | None = None,
    ) -> Head:
        key = (grid, shape.warp_mm.tobytes(), densities, supersample)
        if key not in heads:
            heads[key] = build_head(grid, shape, densities, supersample=supersample)
        return heads[key]

    for module in (case, patient):
        module.build_head = build


def propose(physics: Physics, step: float, rng: np.random.Generator) -> Physics:
    """Physics with a few parameters changed by ``step`` times their range, reflected into it."""
    for index in rng.choice(len(PARAMETERS), _CHANGED_AT_ONCE, replace=False):
        parameter = PARAMETERS[index]
        width = parameter.high - parameter.low
        value = parameter.value(physics) + step * width * rng.normal()
        value = parameter.low + width - abs((value - parameter.low) % (2 * width) - width)
        physics = parameter.set(physics, value)
    return physics


def smooth_score(figures: dict[str, float], targets: tuple[Target, ...] = FIT_TARGETS) -> float:
    """``score``, and a little more the farther figures lie from the middle of their ranges."""
    middle = 0.0
    for target in targets:
        value, half = figures[target.name], 0.5 * (target.high - target.low)
        offset = (value - target.low) / half - 1 if np.isfinite(value) else 3.0
        middle += min(offset**2, 9.0)
    return score(figures, targets) + 0.02 * middle


def search(
    physics: Physics, rounds: int, evaluate: Callable[[Physics], dict], rng: np.random.Generator
) -> tuple[Physics, list[dict]]:
    """The best physics found, and what each round tried."""
    figures = evaluate(physics)
    best, step, tried = smooth_score(figures), _FIRST_STEP, []
    logger.info("start: %.3f", best)
    for number in range(1, rounds + 1):
        proposal = propose(physics, step, rng)
        figures = evaluate(proposal)
        found = smooth_score(figures)
        tried.append({"score": found, "step": step, **_values(proposal), "figures": figures})
        if found < best:
            physics, best = proposal, found
        else:
            step = max(_LAST_STEP, step * _SHRINK)
        if found == best:
            logger.info("%s", _values(physics))
        logger.info("round %d: %.3f, best %.3f, step %.2f", number, found, best, step)
    return physics, tried


def _values(physics: Physics) -> dict[str, float]:
    return {parameter.name: parameter.value(physics) for parameter in PARAMETERS}


def main() -> None:
    """Search, write the best values and all that was tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=28)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--max-slices", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the search")
    parser.add_argument("--out", type=Path, default=Path("phantom_fit.json"))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    remember_heads()

    @lru_cache
    def evaluate(physics: Physics) -> dict[str, float]:
        return measure(
            args.cases,
            physics,
            size=args.size,
            seed=FIT_SEED,
            max_slices=args.max_slices,
            workers=1,
        )

    rng = np.random.default_rng(args.seed)
    best, tried = search(DEFAULT_PHYSICS, args.rounds, evaluate, rng)
    figures = evaluate(best)
    write_json(args.out, {"best": _values(best), "figures": figures, "tried": tried})
    for target in FIT_TARGETS:
        logger.info("%s: %.3g (%g-%g)", target.name, figures[target.name], target.low, target.high)
    logger.info("%s", _values(best))


if __name__ == "__main__":
    main()
