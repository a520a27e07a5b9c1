"""What stands before, after or around an optimizer."""

from fnnet.optim.transforms.averaging import ema_parameters, evaluation_parameters
from fnnet.optim.transforms.gradients import add_weight_decay, clip, clip_by_global_norm, clip_by_norm, freeze
from fnnet.optim.transforms.partitioning import partition
from fnnet.optim.transforms.wrappers import accumulate, decoupled_weight_decay, skip_nonfinite

__all__ = [
    "accumulate",
    "add_weight_decay",
    "clip",
    "clip_by_global_norm",
    "clip_by_norm",
    "decoupled_weight_decay",
    "ema_parameters",
    "evaluation_parameters",
    "freeze",
    "partition",
    "skip_nonfinite",
]
