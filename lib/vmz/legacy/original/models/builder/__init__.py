"""The residual blocks, one by one."""
