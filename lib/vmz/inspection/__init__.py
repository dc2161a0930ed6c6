"""Looking at what is there: networks, the clips that they see, two engines side by side."""
