"""What the commands share: the parser, flags made of settings, errors as sentences, several processes."""
