"""Predicting the classes of one's own videos: `vmz predict`."""
