"""Data for training: load, check, split and scale. Everything here runs on the host, before training.

A `Dataset` holds ``inputs``, ``targets`` and maybe ``weights``, a row an example. Loaders give NumPy arrays;
training puts them on a device once.
"""

from fnnet.data.archives import from_npz
from fnnet.data.arrays import from_arrays
from fnnet.data.bundled import available, load
from fnnet.data.dataset import About, Dataset
from fnnet.data.folding import folds
from fnnet.data.reading import read
from fnnet.data.scaling import Scaler, min_max_scaler, standardizer
from fnnet.data.splitting import split
from fnnet.data.streams import Stream, from_directory, from_memmap, from_parquet
from fnnet.data.tables import from_table

__all__ = [
    "About",
    "Dataset",
    "Scaler",
    "Stream",
    "available",
    "folds",
    "from_arrays",
    "from_directory",
    "from_memmap",
    "from_npz",
    "from_parquet",
    "from_table",
    "load",
    "min_max_scaler",
    "read",
    "split",
    "standardizer",
]
