"""SSIMULACRA2, a perceptual measure of image quality (Sneyers, 2022), in the version of libjxl, 2.1.

Structural similarity, ringing and blur at six scales in the XYB color space, weighted to agree with people's ratings of
compressed images. 100 means equal; at about 90 no difference is visible, 70 is high quality, 50 medium, 30 low; below 0
is bad. The tests compare it with the package ``ssimulacra2``, which takes thirty times as long and keeps a dozen copies
of the image in double precision. The kernels here process the image row by row in single precision.
"""

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt
from numba import njit

from colorquant.pixels import Pixels
from colorquant.quality.gaussian import RADIUS, WINDOW, blur_across, blur_down, weights
from colorquant.quality.xyb import Plane, halved, linear_planes, xyb_rows

_SCALES = 6
_MIN_SIDE = 8
_WEIGHTS_OF_WINDOW = weights(np.float32)
_C2 = np.float32(0.0009)
_Read = Callable[[int, int], tuple[Plane, Plane]]
_ONE, _TWO, _NOTHING = np.float32(1), np.float32(2), np.float32(0)
# Of a band. Larger ones leave the processor's cache; for smaller ones more of the ten rows around them is read again.
_BAND_PIXELS = 1 << 19

# By channel (X, Y, B), scale, and norm (1, 4): weights of structure, ringing and blur.
# fmt: off
_WEIGHTS = np.array([
    0, 0.0007376606707406586, 0, 0, 0.0007793481682867309, 0, 0, 0.0004371155730107379, 0, 1.1041726426657346,
    0.00066284834129271, 0.00015231632783718752, 0, 0.0016406437456599754, 0, 1.8422455520539298, 11.441172603757666,
    0, 0.0007989109436015163, 0.000176816438078653, 0, 1.8787594979546387, 10.94906990605142, 0, 0.0007289346991508072,
    0.9677937080626833, 0, 0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053, 0.0004550992113792063,
    0, 0, 0.0013648766163243398, 0, 0, 0, 0, 0, 7.466890328078848, 0, 17.445833984131262, 0.0006235601634041466, 0, 0,
    6.683678146179332, 0.00037724407979611296, 1.027889937768264, 225.20515300849274, 0, 0, 19.213238186143016,
    0.0011401524586618361, 0.001237755635509985, 176.39317598450694, 0, 0, 24.43300999870476, 0.28520802612117757,
    0.0004485436923833408, 0, 0, 0, 34.77906344483772, 44.835625328877896, 0, 0, 0, 0, 0, 0, 0, 0,
    0.0008680556573291698, 0, 0, 0, 0, 0, 0.0005313191874358747, 0, 0.00016533814161379112, 0, 0, 0, 0, 0,
    0.0004179171803251336, 0.0017290828234722833, 0, 0.0020827005846636437, 0, 0, 8.826982764996862, 23.19243343998926,
    0, 95.1080498811086, 0.9863978034400682, 0.9834382792465353, 0.0012286405048278493, 171.2667255897307,
    0.9807858872435379, 0, 0, 0, 0.0005130064588990679, 0, 0.00010854057858411537,
])
# fmt: on


def ssimulacra2(reference: Pixels, decoded: Pixels, pool: Executor | None = None) -> float:
    """SSIMULACRA2 of an image against its original.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 3)
        sRGB. Images with a side shorter than 8 pixels are padded to 8 by repeating their edges.
    pool : Executor, optional
        Of threads, which then share the bands. The value is the same.

    Returns
    -------
    float
        At most 100, which equal images have; below 0 for bad ones.

    Raises
    ------
    ValueError
        The shapes or dtypes are not as above, or differ.
    """
    for pixels in (reference, decoded):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(f"pixels must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")
    if reference.shape != decoded.shape:
        raise ValueError(f"images of different shapes: {reference.shape} and {decoded.shape}")
    one, other = _padded(reference), _padded(decoded)
    height, width = one.shape[:2]
    # Of the first two scales linear light is made band by band: it takes four times the memory of pixels, and one.
    scales = [_means(_sums(_pixels_of(one, other), height, width, pool), height * width)]
    read = _halved_pixels_of(one, other)
    while len(scales) < _SCALES and min(height, width) >= 2 * _MIN_SIDE - 1:
        height, width = (height + 1) // 2, (width + 1) // 2
        half = np.empty((2, 3, (height + 1) // 2, (width + 1) // 2), np.float32)
        scales.append(_means(_sums(read, height, width, pool, half), height * width))
        read = _rows_of(half)
    # In the order of the weights. Small images have fewer scales, and use only the first weights.
    by_channel = np.stack(scales).transpose(1, 0, 2, 3).ravel()
    return _score(float(by_channel @ _WEIGHTS[: len(by_channel)]))


def _padded(pixels: Pixels) -> Pixels:
    rows, columns = (max(0, _MIN_SIDE - side) for side in pixels.shape[:2])
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge") if rows or columns else pixels


def _score(distance: float) -> float:
    distance *= 0.9562382616834844
    distance = 2.326765642916932 * distance - 0.020884521182843837 * distance**2 + 6.248496625763138e-05 * distance**3
    return 100 - 10 * float(distance**0.6276336467831387) if distance > 0 else 100.0


def _pixels_of(one: Pixels, other: Pixels) -> _Read:
    return lambda top, bottom: (linear_planes(one[top:bottom]), linear_planes(other[top:bottom]))


def _halved_pixels_of(one: Pixels, other: Pixels) -> _Read:
    read = _pixels_of(one, other)

    def halved_rows(top: int, bottom: int) -> tuple[Plane, Plane]:
        first, second = read(2 * top, 2 * bottom)
        return halved(first), halved(second)

    return halved_rows


def _rows_of(planes: Plane) -> _Read:
    return lambda top, bottom: (
        np.ascontiguousarray(planes[0, :, top:bottom]),
        np.ascontiguousarray(planes[1, :, top:bottom]),
    )


def _sums(read: _Read, height: int, width: int, pool: Executor | None, half: Plane | None = None) -> npt.NDArray:
    """Sums over a scale of both images.

    Parameters
    ----------
    read : callable
        Linear light of some rows, from the first to before the last, of both images: float32 (3, rows, W).
    height, width : int
        Of the scale.
    half : float32 (2, 3, ceil(H / 2), ceil(W / 2)), optional
        Gets the next scale.

    Returns
    -------
    float64 (channel, norm, kind)
    """

    def sums_of_rows(top: int) -> npt.NDArray:
        bottom = min(height, top + rows)
        first = max(0, top - RADIUS)
        planes = read(first, min(height, bottom + RADIUS))
        if half is not None:
            for number, image in enumerate(planes):
                inner = np.ascontiguousarray(image[:, top - first : bottom - first])
                half[number, :, top // 2 : (bottom + 1) // 2] = halved(inner)
        return _sums_of_rows(planes[0], planes[1], top - first, bottom - first, _WEIGHTS_OF_WINDOW)

    # A band of the second scale is made of four times its pixels. Rows are even, so that no pair of them is split.
    rows = max(2, (_BAND_PIXELS if half is None else _BAND_PIXELS // 4) // width // 2 * 2)
    tops = range(0, height, rows)
    parts = map(sums_of_rows, tops) if pool is None else pool.map(sums_of_rows, tops)
    # Row by row, so that the sums depend on no bands.
    return np.concatenate(list(parts)).sum(axis=0)


def _means(sums: npt.NDArray, pixels: int) -> npt.NDArray:
    """Means over a scale, float64 (channel, norm, kind): of structure, ringing and blur, by the norms 1 and 4."""
    means = sums / pixels
    means[:, 1] **= 0.25
    return means


@njit(cache=True, nogil=True)
def _sums_of_rows(one: Plane, other: Plane, top: int, bottom: int, weights: Plane) -> npt.NDArray:
    """Sums over each of the rows ``top`` to ``bottom`` of two images in linear light, float32 (3, H, W).

    Outside the image the filter reads black on the left and right, and mirrored rows above and below.

    Returns
    -------
    float64 (row, channel, norm, kind)
    """
    height, width = one.shape[1:]
    sums = np.zeros((bottom - top, 3, 2, 3))
    # The last eleven rows of both images, and of the four planes filtered horizontally.
    padded = np.zeros((4, 3, width + 2 * RADIUS), np.float32)
    rows = np.empty((2, 3, WINDOW, width), np.float32)
    across = np.empty((4, 3, WINDOW, width), np.float32)
    blurred = np.empty((4, width), np.float32)
    space = np.empty((5, width), np.float32)
    at = np.empty(WINDOW, np.intp)
    ready = max(0, top - RADIUS)
    for y in range(top, bottom):
        while ready < min(height, y + RADIUS + 1):
            slot = ready % WINDOW
            for image in range(2):
                inside = padded[image, :, RADIUS : RADIUS + width]
                linear = one[:, ready] if image == 0 else other[:, ready]
                xyb_rows(linear, space, inside[0], inside[1], inside[2])
                rows[image, :, slot] = inside
            for channel in range(3):
                _products(padded[0, channel], padded[1, channel], padded[2, channel], padded[3, channel])
                for plane in range(4):
                    blur_across(padded[plane, channel], weights, across[plane, channel, slot])
            ready += 1
        for step in range(WINDOW):
            row = y - RADIUS + step
            at[step] = (-1 - row if row < 0 else 2 * height - 1 - row if row >= height else row) % WINDOW
        for channel in range(3):
            for plane in range(4):
                blur_down(across[plane, channel], at, weights, blurred[plane])
            x, y_row = rows[0, channel, y % WINDOW], rows[1, channel, y % WINDOW]
            _add_differences(x, y_row, blurred, space[0], space[1], sums[y - top, channel])
    return sums


@njit(cache=True, nogil=True)
def _products(x: Plane, y: Plane, square_difference: Plane, product: Plane) -> None:
    for i in range(len(x)):
        difference = x[i] - y[i]
        square_difference[i] = difference * difference
        product[i] = x[i] * y[i]


@njit(cache=True, nogil=True)
def _add_differences(x: Plane, y: Plane, blurred: Plane, structure: Plane, edges: Plane, sums: npt.NDArray) -> None:
    """Add a row's differences to sums (norm, kind)."""
    _structure(blurred[0], blurred[1], blurred[2], blurred[3], structure)
    _edges(x, y, blurred[0], blurred[1], edges)
    _add_positive(structure, _ONE, sums[:, 0])
    _add_positive(edges, _ONE, sums[:, 1])
    _add_positive(edges, -_ONE, sums[:, 2])


@njit(cache=True, nogil=True, error_model="numpy")
def _structure(mean_x: Plane, mean_y: Plane, square_difference: Plane, product: Plane, structure: Plane) -> None:
    """One minus the similarity; exactly 0 where both images are equal, as in ``ssim``."""
    for i in range(len(structure)):
        difference = mean_x[i] - mean_y[i]
        square = difference * difference
        covariance = _TWO * (product[i] - mean_x[i] * mean_y[i])
        variances = covariance + (square_difference[i] - square)
        structure[i] = _ONE - (_ONE - square) * (covariance + _C2) / (variances + _C2)


@njit(cache=True, nogil=True, error_model="numpy")
def _edges(x: Plane, y: Plane, mean_x: Plane, mean_y: Plane, edges: Plane) -> None:
    """Above 0 where only the second image has an edge (ringing), below 0 where only the first has one (blur)."""
    for i in range(len(edges)):
        edges[i] = (_ONE + abs(y[i] - mean_y[i])) / (_ONE + abs(x[i] - mean_x[i])) - _ONE


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})
def _add_positive(values: Plane, sign: np.float32, sums: npt.NDArray) -> None:
    """Add the positive ones of the values times the sign, and their fourth powers."""
    total, fourth = np.float64(0), np.float64(0)
    for i in range(len(values)):
        value = sign * values[i]
        positive = value if value > _NOTHING else _NOTHING
        total += positive
        fourth += (positive * positive) * (positive * positive)
    sums[0] += total
    sums[1] += fourth
