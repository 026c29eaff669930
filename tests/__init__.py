"""Mirrors the three packages; beside them the tests of the house: layers, docs, and the bench."""
