"""Pairs of small masks whose lesions touch, split, merge and tie; the same on every machine.

Python's ``random.Random(seed).random()`` is the one generator whose numbers never change between
versions, so answers that were computed elsewhere stay valid.
"""

from __future__ import annotations

from random import Random

import numpy as np

SHAPE = (4, 10, 12)


def mask_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """True and predicted masks, bool ``(Z, Y, X)``, by name."""
    pairs = {f"boxes {seed}": _boxes(Random(seed)) for seed in range(60)}
    pairs |= {f"specks {seed}": _specks(Random(1000 + seed)) for seed in range(40)}
    # Lesions of one to three voxels in a row: many pairs have the same IoU.
    pairs |= {f"ties {seed}": _ties(Random(2000 + seed)) for seed in range(60)}
    full, empty = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
    boxes = _boxes(Random(7))[0]
    pairs |= {
        "both empty": (empty, empty),
        "no truth": (empty, boxes),
        "no prediction": (boxes, empty),
        "equal": (boxes, boxes),
        "everything": (full, full),
        "everything predicted": (boxes, full),
        "one voxel": (_row(0, 1), _row(0, 1)),
        "IoU of 0.2": (_row(0, 3), _row(2, 5)),
        "IoU below 0.2": (_row(0, 3), _row(2, 6)),
        "two merged": (_row(0, 2) | _row(3, 7), _row(0, 7)),
        "one split": (_row(0, 9), _row(0, 4) | _row(5, 9)),
        "joined by a corner": (_voxels((0, 0, 0), (1, 1, 1)), _voxels((0, 0, 0))),
        "joined by an edge": (_voxels((0, 0, 0), (0, 1, 1)), _voxels((0, 1, 1))),
        # One prediction fits two lesions equally well, and another one fits one of them less.
        "tie, two found": (_row(0, 4) | _row(5, 9), _row(2, 7) | _row(8, 9)),
        "tie, one found": (_row(0, 4) | _row(5, 9), _row(0, 1) | _row(2, 7)),
        # The best pair stands in the way of two others.
        "best pair first": (_row(0, 8) | _row(9, 11), _row(1, 3) | _row(4, 12)),
    }
    return pairs


def _voxels(*voxels: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def _row(start: int, stop: int) -> np.ndarray:
    return _voxels(*((1, 2, x) for x in range(start, stop)))


def _below(random: Random, n: int) -> int:
    return int(random.random() * n)


def _box(random: Random, largest: int) -> tuple[slice, ...]:
    starts = [_below(random, size) for size in SHAPE]
    return tuple(slice(start, start + 1 + _below(random, largest)) for start in starts)


def _moved(random: Random, box: tuple[slice, ...]) -> tuple[slice, ...]:
    steps = [_below(random, 3) - 1 for _ in box]
    return tuple(slice(max(s.start + k, 0), s.stop + k) for s, k in zip(box, steps, strict=True))


def _boxes(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """Up to six lesions; predictions of most of them, a voxel or so beside, and false ones."""
    gt, pred = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    for _ in range(_below(random, 7)):
        box = _box(random, 4)
        gt[box] = True
        if random.random() < 0.7:
            pred[_moved(random, box)] = True
    for _ in range(_below(random, 3)):
        pred[_box(random, 3)] = True
    return gt, pred


def _specks(random: Random) -> tuple[np.ndarray, np.ndarray]:
    """Single voxels, sparse or dense, of which some stay and some are new in the prediction."""
    share = 0.02 + 0.1 * random.random()
    draws = np.array([random.random() for _ in range(3 * np.prod(SHAPE))]).reshape(3, *SHAPE)
    gt = draws[0] < share
    return gt, (gt & (draws[1] < 0.6)) | (draws[2] < share / 2)


def _ties(random: Random) -> tuple[np.ndarray, np.ndarray]:
    masks = np.zeros((2, *SHAPE), bool)
    for mask in masks:
        for z in range(0, SHAPE[0], 2):
            for y in range(0, SHAPE[1], 3):
                cursor = _below(random, 2)
                while cursor < SHAPE[2]:
                    length = 1 + _below(random, 3)
                    mask[z, y, cursor : cursor + length] = True
                    cursor += length + 1 + _below(random, 2)
    return masks[0], masks[1]
