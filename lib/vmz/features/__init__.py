"""Features of clips on disk: gathered batch by batch, then written as one file of npz, HDF5 or pickle."""
