"""Sound: from the packets of a stream to samples, to log-mels, to the log-mels of clips. Knows nothing of pictures."""
