"""What keeps old Caffe2 programs running on today's Python: mends from outside, each with a name, each off by name.

Nothing here acts on import. `start` installs them; `import vmz.legacy` and `python -m vmz.legacy` call it.
"""
