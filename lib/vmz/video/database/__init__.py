"""Records of videos: how a database holds them, what it calls them, and in which order they are read."""
