"""Scores and losses."""
