"""Differences and runs, told to people and programs."""
