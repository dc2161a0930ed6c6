"""Kinds of file that tools read, each within bounds and with its mistakes named: JSON, numpy's, tables of text."""
