"""The array types that several rooms share. They need numpy only; each signature's docstring says the shape."""

import numpy as np
import numpy.typing as npt

#: An image or a part of it, (h, w, 3), or (h, w, 4) with alpha; also a palette, (k, 3 or 4), and an index map, (h, w).
Pixels = npt.NDArray[np.uint8]
