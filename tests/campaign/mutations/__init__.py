"""Files gone wrong, by the structure of their kind: each function gives the bytes of input `number` of a seed.

Some inputs are those that once broke a reader, some are grown from them, some are good files with a few parts changed.
"""
