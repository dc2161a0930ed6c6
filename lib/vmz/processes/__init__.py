"""Several processes of one run: which one this is, what they tell each other, how they stop together."""
