"""State dicts of other libraries: which networks they share with VMZ, and what they call the parts."""
