"""How far our palettes can be from the optimum: a certified lower bound of the K-Means error, next to ours.

    python -m benchmarks.lower_bound IMAGES [--k 4 8] [--count 10]

The bound is the Lagrangian dual of K-Means as a choice of clusters (du Merle, Hansen, Jaumard and Mladenovic, 2000,
DOI 10.1137/S1064827597328327; Aloise, Hansen and Liberti, 2012, DOI 10.1007/s10107-010-0349-7). Let color i have the
weight w_i, and pay any number l_i. For every palette y_1 ... y_k

    sum_i w_i min_j |x_i - y_j|^2  =  sum_i w_i (l_i - max_j (l_i - |x_i - y_j|^2))
                                  >=  sum_i w_i l_i - sum_j f(y_j)  >=  sum_i w_i l_i - k max_y f(y),

    f(y) = sum_i w_i max(0, l_i - |x_i - y|^2),

because a maximum is at most the sum of the positive parts. So every l gives a bound for all palettes, of real or whole
colors, once max f is known from above. As a color has three coordinates, it is: by branch and bound over boxes, as in
location theory (Hansen, Peeters, Richard and Thisse, 1985, DOI 10.1287/opre.33.6.1251). l is improved by subgradients.
What is computed in double precision is lowered by 1e-9 of itself.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit

from benchmarks.folders import images_in
from benchmarks.quantizers import read
from colorquant import quantize
from colorquant.colors import count_colors, unpack_colors

Array = npt.NDArray[np.float64]
_STEPS = 600
_FIRST_STEP, _LAST_STEP = 1.0, 0.003
_STARTS = 24
_ROUND = 10
# By how much max f may be overestimated, times k, as a part of the error.
_TOLERANCE = 2e-4
_MAX_BOXES = 100_000
# Half the side of a box that is not cut any more.
_SMALLEST = 1e-4
_ROUNDING = 1e-9


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--k", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--count", type=int, default=10, help="so many of the images")
    arguments = parser.parse_args()
    print("| image | k | error | no palette is below | above the optimum at most | seconds |\n" + "|---|" + "---:|" * 5)
    gaps: dict[int, list[float]] = {k: [] for k in arguments.k}
    for path in images_in(arguments.images)[: arguments.count]:
        pixels = read(path)
        histogram = count_colors(pixels)
        colors, weights = unpack_colors(histogram.colors).astype(float), histogram.counts / histogram.pixels
        for k in arguments.k:
            start = time.perf_counter()
            found = quantize(pixels, k)
            error = found.inertia / histogram.pixels
            bound = lower_bound(colors, weights, found.palette.astype(float))
            gaps[k].append(error / bound - 1)
            seconds = time.perf_counter() - start
            print(f"| {path.stem} | {k} | {error:.3f} | {bound:.3f} | {gaps[k][-1]:.2%} | {seconds:.0f} |", flush=True)
    for k, found_gaps in gaps.items():
        print(
            f"\nk = {k}: above the optimum at most by {statistics.fmean(found_gaps):.2%} (mean), {max(found_gaps):.2%}"
        )


def lower_bound(colors: Array, weights: Array, palette: Array, steps: int = _STEPS) -> float:
    """A number that the error of no palette of as many entries is below.

    Parameters
    ----------
    colors : float64 (n, 3)
    weights : float64 (n,)
        Positive.
    palette : float64 (k, 3)
        A good one: from it the search for payments begins, and only how tight the bound is depends on it.
    steps : int
    """
    k = len(palette)
    payments, error = _first_payments(colors, weights, palette)
    random = np.random.default_rng(0)
    kept: list[tuple[float, Array]] = []
    mean = error / weights.sum()
    starts = palette
    for step in range(steps):
        is_looked_at = step % _ROUND == 0
        if is_looked_at:  # Also from other colors, those above all that no start has reached.
            starts = _starts(colors, weights, payments, starts[:k], random, _STARTS)
        values, shares = _climb(colors, weights, payments, starts)
        if is_looked_at:
            kept.append((float(weights @ payments - k * values.max()), payments.copy()))
        # Near its maxima f is flat: the subgradients of all of them, weighted by how near they are.
        near = np.exp((values - values.max()) / (0.02 * mean * weights.sum() / k))
        length = mean * _FIRST_STEP * (_LAST_STEP / _FIRST_STEP) ** (step / steps)
        payments += length * (1 - shares.T @ (k * near / near.sum()))
    best, best_value = kept[0][1], -np.inf
    for hoped, payments in sorted(kept, key=lambda pair: -pair[0]):
        if hoped <= best_value:
            break
        values, _ = _climb(colors, weights, payments, _starts(colors, weights, payments, palette, random, 4 * _STARTS))
        if (value := weights @ payments - k * values.max()) > best_value:
            best, best_value = payments, value
    starts = _starts(colors, weights, best, palette, random, 4 * _STARTS)
    highest = highest_value(colors, weights, best, starts, _TOLERANCE * error / k)
    return float(weights @ best - k * highest) * (1 - _ROUNDING)


def _starts(
    colors: Array, weights: Array, payments: Array, known: Array, random: np.random.Generator, count: int
) -> Array:
    """Starts of which the first, as many as are known, are those of the highest values, all of them moved up."""
    _, shares = _climb(colors, weights, payments, known.copy())
    unreached = weights * np.maximum(payments, 0) * np.where(shares.any(axis=0), 0.1, 1) + 1e-12
    drawn = random.choice(len(colors), count, p=unreached / unreached.sum())
    starts = np.concatenate([known, colors[drawn]])
    for _ in range(4):
        values, _ = _climb(colors, weights, payments, starts)
    # Of those that have come together one counts.
    order = np.argsort(-values)
    first = np.unique(np.round(starts[order], 1), axis=0, return_index=True)[1]
    return starts[order[np.concatenate([np.sort(first), np.setdiff1d(np.arange(len(order)), first)])]]


def _first_payments(colors: Array, weights: Array, palette: Array) -> tuple[Array, float]:
    """Half-way between the distances to the nearest entry and to the second; and the error of the palette."""
    distances = np.sort(((colors[:, None] - palette[None]) ** 2).sum(axis=2), axis=1)
    return distances[:, :2].mean(axis=1), float(weights @ distances[:, 0])


@njit(cache=True)
def _climb(colors: Array, weights: Array, payments: Array, starts: Array) -> tuple[Array, Array]:
    """f at each start (m, 3), and which colors pay there (m, n); starts then move to the mean of these colors."""
    values, shares = np.zeros(len(starts)), np.zeros((len(starts), len(colors)))
    for j in range(len(starts)):
        total, mean = 0.0, np.zeros(3)
        for i in range(len(colors)):
            gain = payments[i]
            for axis in range(3):
                gain -= (colors[i, axis] - starts[j, axis]) ** 2
            if gain > 0:
                shares[j, i] = 1
                values[j] += weights[i] * gain
                total += weights[i]
                for axis in range(3):
                    mean[axis] += weights[i] * colors[i, axis]
        if total > 0:
            starts[j] = mean / total
    return values, shares


def highest_value(colors: Array, weights: Array, payments: Array, starts: Array, tolerance: float) -> float:
    """A number that f is nowhere above: its maximum and the tolerance, or more where boxes become too many.

    Parameters
    ----------
    colors, weights, payments : float64 (n, 3), (n,), (n,)
    starts : float64 (m, 3)
        Where f may be high; they move.
    tolerance : float

    Notes
    -----
    The maximum is in the box of all colors: moving y to the nearest point of it brings it closer to each.
    """
    for _ in range(30):
        values, _ = _climb(colors, weights, payments, starts)
    enough = values.max() + tolerance
    low, high = colors.min(axis=0), colors.max(axis=0)
    boxes, half = ((low + high) / 2)[None], (high - low) / 2 + 1e-9
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    looked_at = 0
    while len(boxes):
        bounds = _bounds(colors, weights, payments, boxes, half)
        boxes, bounds = boxes[bounds > enough], bounds[bounds > enough]
        looked_at += 8 * len(boxes)
        if len(boxes) and (looked_at > _MAX_BOXES or half.max() < _SMALLEST):
            return float(bounds.max())
        half = half / 2
        boxes = (boxes[:, None] + corners * half).reshape(-1, 3)
    return float(enough)


@njit(cache=True)
def _bounds(colors: Array, weights: Array, payments: Array, boxes: Array, half: Array) -> Array:
    """What f is nowhere above in each box (m, 3), given by its middle, of half the side (3,).

    Colors that pay everywhere in the box add up to a concave parabola, whose maximum is known; of others each counts
    with its own maximum.
    """
    bounds = np.zeros(len(boxes))
    for b in range(len(boxes)):
        total, constant, first = 0.0, 0.0, np.zeros(3)
        for i in range(len(colors)):
            near, far, squared = 0.0, 0.0, 0.0
            for axis in range(3):
                offset = colors[i, axis] - boxes[b, axis]
                near += max(0.0, abs(offset) - half[axis]) ** 2
                far += (abs(offset) + half[axis]) ** 2
                squared += offset * offset
            if far < payments[i]:
                total += weights[i]
                constant += weights[i] * (payments[i] - squared)
                for axis in range(3):
                    first[axis] += weights[i] * (colors[i, axis] - boxes[b, axis])
            elif near < payments[i]:
                bounds[b] += weights[i] * (payments[i] - near)
        for axis in range(3):
            if total > 0:
                best = min(max(first[axis] / total, -half[axis]), half[axis])
                constant += 2 * first[axis] * best - total * best * best
        bounds[b] += constant
    return bounds


if __name__ == "__main__":
    main()
