"""Results: what an evaluation, a training run and a comparison found out.

The JSON that a tool writes, the lines that it prints and its page are all made from the same object.
"""
