"""Training on PyTorch: the trainer, its update rule, its input and its ranks."""
