"""The reference engine: real Caffe2 from the pinned wheel. Importing this package imports nothing of Caffe2."""
