"""From videos in class folders to a network of one's own: a split, settings with reasons, and a training run."""
