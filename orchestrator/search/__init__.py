"""Optuna studies, one a cell."""
