"""The sound that goes with the clips of a video: AVInput's arguments, and how a file is heard while it is read."""
