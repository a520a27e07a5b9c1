"""Probability and statistics: entropies, joint tables, covariances, estimators, likelihood fits, intervals."""

from fnnet.stats.continuous import gaussian, laplace, linear
from fnnet.stats.discrete import bernoulli, categorical
from fnnet.stats.distributions import Logits
from fnnet.stats.estimation import EstimatorReport, estimator_report
from fnnet.stats.figures import plot_estimator, plot_gradient_noise
from fnnet.stats.fitting import Fit, Model, fit_by_minimize
from fnnet.stats.gradients import GradientNoise, gradient_noise
from fnnet.stats.information import cross_entropy, entropy, jensen_shannon_divergence, kl_divergence
from fnnet.stats.moments import covariance_matrix
from fnnet.stats.resampling import Interval, bootstrap_interval, interquartile_mean
from fnnet.stats.tables import (
    Joint,
    bayes_posterior,
    conditional,
    is_independent,
    joint,
    marginal,
    mutual_information,
)

__all__ = [
    "EstimatorReport",
    "Fit",
    "GradientNoise",
    "Interval",
    "Joint",
    "Logits",
    "Model",
    "bayes_posterior",
    "bernoulli",
    "bootstrap_interval",
    "categorical",
    "conditional",
    "covariance_matrix",
    "cross_entropy",
    "entropy",
    "estimator_report",
    "fit_by_minimize",
    "gaussian",
    "gradient_noise",
    "interquartile_mean",
    "is_independent",
    "jensen_shannon_divergence",
    "joint",
    "kl_divergence",
    "laplace",
    "linear",
    "marginal",
    "mutual_information",
    "plot_estimator",
    "plot_gradient_noise",
]
