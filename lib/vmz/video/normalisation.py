"""What pixels are normalised with: those of the original's reader, for all its networks of RGB."""

from __future__ import annotations

import numpy as np

MEAN = np.array([110.201, 100.64, 95.9966], dtype=np.float32)  # R, G, B
STD = np.array([58.1489, 56.4701, 55.3324], dtype=np.float32)
