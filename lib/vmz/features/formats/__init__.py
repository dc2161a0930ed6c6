"""Feature files: npz, HDF5 and pickle, written by file extension and read by content."""
