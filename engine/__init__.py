"""What the assistant does: turns, models, context, memory, the worker pool. No widgets."""

__version__ = "0.1.0"
