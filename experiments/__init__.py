"""Experiments: each shows something that the lectures claim. ``python -m experiments`` lists them."""
