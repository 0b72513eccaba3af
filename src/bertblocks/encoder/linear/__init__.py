"""The matrix products by precision."""

from bertblocks.encoder.linear.precision import Precision, choose_precision, resolve_device, to_precision

__all__ = ["Precision", "choose_precision", "resolve_device", "to_precision"]
