"""Predictions as a page and an HTTP API of this machine: `vmz serve`."""
