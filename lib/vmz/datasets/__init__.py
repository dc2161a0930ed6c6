"""Data sets: lists of videos, class names, the databases made of them, and checks of what a database holds."""
