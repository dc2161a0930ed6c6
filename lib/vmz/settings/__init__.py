"""Settings: what a run can be asked for. Each is a field of a frozen dataclass, by the name of its flag.

The dataclasses here are shared by several tools; the configuration of a tool, such as EvaluationConfig, inherits those
that it takes. `cli` makes flags of them.
"""
