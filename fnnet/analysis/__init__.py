"""What a network looks like inside."""

from fnnet.analysis.bounds import linear_regions_upper_bound, max_linear_regions
from fnnet.analysis.counting import RegionCount, count_linear_regions
from fnnet.analysis.patterns import activation_pattern
from fnnet.analysis.pieces import Joints, LinearPieces, joints, linear_pieces
from fnnet.analysis.plane_maps import PlaneSVD, plane_svd, plot_svd
from fnnet.analysis.region_plots import plot_regions
from fnnet.analysis.regions import LinearRegions, linear_regions

__all__ = [
    "Joints",
    "LinearPieces",
    "LinearRegions",
    "PlaneSVD",
    "RegionCount",
    "activation_pattern",
    "count_linear_regions",
    "joints",
    "linear_pieces",
    "linear_regions",
    "linear_regions_upper_bound",
    "max_linear_regions",
    "plane_svd",
    "plot_regions",
    "plot_svd",
]
