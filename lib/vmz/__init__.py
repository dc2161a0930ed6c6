"""VMZ: the Caffe2 video model zoo, alive on real Caffe2 and on PyTorch."""

__version__ = "0.1.0"
