"""The ``fnnet`` command: train on data from a file, sweep hyperparameters, keep tables and figures."""

from fnnet.cli.commands import main
from fnnet.cli.grammar import parse_space
from fnnet.cli.perceptron import Perceptron

__all__ = ["Perceptron", "main", "parse_space"]
