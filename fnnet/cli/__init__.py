"""The ``fnnet`` command: train on data from a file, sweep hyperparameters, keep tables and figures."""

from fnnet.cli.commands import main
from fnnet.cli.grammar import parse_space
from fnnet.cli.networks import Convolutional
from fnnet.cli.perceptron import Perceptron

__all__ = ["Convolutional", "Perceptron", "main", "parse_space"]
