"""K-Means of weighted colors: points, assignment, search, refinement, annealing.

The functions work on numpy arrays in one process and know neither images nor Spark.
"""

from colorquant.kmeans.annealing import anneal
from colorquant.kmeans.assignment import assign, lloyd
from colorquant.kmeans.histogram_round import ClusterSums, MergeableSums, nearest, partial_sums, update
from colorquant.kmeans.oklab import grid_from_rgb, rgb_from_grid
from colorquant.kmeans.points import GRID, Points, points_at, points_of, weights_of
from colorquant.kmeans.relaxation import relax
from colorquant.kmeans.search import search_centroids

__all__ = [
    "anneal",
    "assign",
    "ClusterSums",
    "GRID",
    "grid_from_rgb",
    "lloyd",
    "MergeableSums",
    "nearest",
    "partial_sums",
    "Points",
    "points_at",
    "points_of",
    "weights_of",
    "relax",
    "rgb_from_grid",
    "search_centroids",
    "update",
]
