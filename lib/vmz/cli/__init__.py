"""The command lines: flags, parsers, and what every tool does around its work."""
