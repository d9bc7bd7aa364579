"""Trains a model to lose weight: pruned, clustered, rounded, taught; steps keep each other."""
