"""The commands of data/: databases and lists of videos."""
