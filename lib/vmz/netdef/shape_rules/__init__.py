"""The shape of what an operator puts out, by operator: importing this package fills the table."""

from vmz.netdef.shape_rules import arrangement, elementwise, layers
from vmz.netdef.shape_rules.registry import RULES, Shape, ShapeError

__all__ = ["RULES", "Shape", "ShapeError", "arrangement", "elementwise", "layers"]
