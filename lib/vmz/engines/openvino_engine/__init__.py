"""The OpenVINO engine: the PyTorch engine's net, computed by OpenVINO on the CPU."""
