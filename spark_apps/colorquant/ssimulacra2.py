"""SSIMULACRA2, a perceptual measure of an image's quality (Sneyers, 2022), as it stands in libjxl: 2.1.

Structural similarity, ringing and blur at six scales of the XYB color space, weighted to agree with what people said of
compressed pictures. 100 is equal; about 90 looks the same at a close look, 70 is high quality, 50 medium and 30 low;
below 0 is bad. The tests compare it with the package ``ssimulacra2``, which takes eight times as long and keeps a dozen
copies of the image in double precision; here OpenCV filters bands of rows in single precision.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Linear = Callable[[npt.NDArray], Plane]  # Rows of an image in linear light.

_SCALES = 6
_LEAST_SIDE = 8
_RADIUS = 5
_KERNEL = cv2.getGaussianKernel(2 * _RADIUS + 1, 1.5, cv2.CV_32F)
_ALONE = np.ones(1, np.float32)
_C2 = 0.0009
_BAND_PIXELS = 1 << 17

_TO_OPSIN = np.array(
    [[0.30, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342268924547819, 0.20476744424496821, 0.55180986650955360]],
    np.float32,
)
_BIAS = 0.0037930732552754493
_levels = np.arange(256) / 255
_LINEAR = np.where(_levels <= 0.04045, _levels / 12.92, ((_levels + 0.055) / 1.055) ** 2.4).astype(np.float32)

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


def ssimulacra2(reference: Pixels, decoded: Pixels) -> float:
    """SSIMULACRA2 of an image against its original.

    Parameters
    ----------
    reference, decoded : uint8 (H, W, 3)
        sRGB. Images with a side shorter than 8 pixels are padded to 8 by repeating their edges.

    Returns
    -------
    float
        At most 100, which equal images have; below 0 for bad ones.

    Raises
    ------
    ValueError
        Where the shapes or dtypes are not as above, or differ.
    """
    for pixels in (reference, decoded):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(f"pixels must be uint8 (H, W, 3), not {pixels.dtype} {pixels.shape}")
    if reference.shape != decoded.shape:
        raise ValueError(f"images of different shapes: {reference.shape} and {decoded.shape}")
    one: npt.NDArray = _padded(reference)
    other: npt.NDArray = _padded(decoded)
    linear: Linear = _LINEAR.__getitem__
    scales = []
    for _ in range(_SCALES):
        if min(one.shape[:2]) < _LEAST_SIDE:
            break
        scales.append(_differences(one, other, linear))
        one, other = _halved(one, linear), _halved(other, linear)
        linear = _as_it_is
    # To the order of the weights, which small images, with fewer scales, use up from the first.
    by_channel = np.stack(scales).transpose(1, 0, 2, 3).ravel()
    return _score(float(by_channel @ _WEIGHTS[: len(by_channel)]))


def _as_it_is(rows: npt.NDArray) -> Plane:
    return rows


def _padded(pixels: Pixels) -> Pixels:
    rows, columns = (max(0, _LEAST_SIDE - side) for side in pixels.shape[:2])
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge") if rows or columns else pixels


def _score(distance: float) -> float:
    distance *= 0.9562382616834844
    distance = 2.326765642916932 * distance - 0.020884521182843837 * distance**2 + 6.248496625763138e-05 * distance**3
    return 100 - 10 * float(distance**0.6276336467831387) if distance > 0 else 100.0


def _halved(image: npt.NDArray, linear: Linear) -> Plane:
    """Means of 2 x 2 pixels in linear light; at an odd end, of those that there are."""
    height, width = image.shape[:2]
    half = np.empty(((height + 1) // 2, (width + 1) // 2, 3), np.float32)
    for top, bottom in _bands(height, width):
        rows = linear(image[top:bottom])
        even = cv2.copyMakeBorder(rows, 0, len(rows) % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (even.shape[1] // 2, even.shape[0] // 2)
        half[top // 2 : (bottom + 1) // 2] = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
    return half


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = max(2, _BAND_PIXELS // width // 2 * 2)  # Even, so that halving cuts no pair.
    return ((top, min(height, top + rows)) for top in range(0, height, rows))


def _differences(one: npt.NDArray, other: npt.NDArray, linear: Linear) -> npt.NDArray:
    """Means over a scale, float64 (channel, norm, kind): of structure, ringing and blur, by the norms 1 and 4."""
    height, width = one.shape[:2]
    sums = np.zeros((3, 2, 3))
    for top, bottom in _bands(height, width):
        first, last = max(0, top - _RADIUS), min(height, bottom + _RADIUS)
        inside = slice(top - first, bottom - first)
        planes = [_positive_xyb(linear(image[first:last])) for image in (one, other)]
        for channel in range(3):
            sums[channel] += _band_sums(planes[0][channel], planes[1][channel], inside)
    means = sums / (height * width)
    means[:, 1] **= 0.25
    return means


def _positive_xyb(rows: Plane) -> list[Plane]:
    """The planes X, Y and B - Y, shifted to be positive."""
    mixed = cv2.transform(rows, _TO_OPSIN) + np.float32(_BIAS)
    root = cv2.pow(mixed, 1 / 3) - np.float32(_BIAS ** (1 / 3))
    red, green, blue = cv2.split(root)
    y = 0.5 * (red + green)
    return [7 * (red - green) + np.float32(0.42), y + np.float32(0.01), blue - y + np.float32(0.55)]


def _band_sums(x: Plane, y: Plane, inside: slice) -> npt.NDArray:
    """Sums over a band, float64 (norm, kind), of planes given with their halo."""
    mean_x, mean_y = _blurred(x, inside), _blurred(y, inside)
    square_x, square_y, product = (_blurred(plane, inside) for plane in (x * x, y * y, x * y))
    difference = mean_x - mean_y
    covariance = 2 * (product - mean_x * mean_y) + np.float32(_C2)
    variances = (square_x - mean_x * mean_x) + (square_y - mean_y * mean_y) + np.float32(_C2)
    structure = np.maximum(1 - (1 - difference * difference) * covariance / variances, 0)
    edges = (1 + cv2.absdiff(y[inside], mean_y)) / (1 + cv2.absdiff(x[inside], mean_x)) - 1
    kinds = (structure, np.maximum(edges, 0), np.maximum(-edges, 0))
    return np.array([[_sum(kind) for kind in kinds], [_sum((kind * kind) ** 2) for kind in kinds]])


def _sum(plane: Plane) -> float:
    return float(cv2.sumElems(plane)[0])


def _blurred(plane: Plane, inside: slice) -> Plane:
    """The Gaussian mean around each pixel; beyond its sides the image is black, beyond its ends mirrored."""
    across = cv2.sepFilter2D(plane, cv2.CV_32F, _KERNEL, _ALONE, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.sepFilter2D(across, cv2.CV_32F, _ALONE, _KERNEL, borderType=cv2.BORDER_REFLECT), np.float32)[
        inside
    ]
