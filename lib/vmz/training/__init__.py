"""Training: the plan, the nets, the epochs, checkpoints and curves."""
