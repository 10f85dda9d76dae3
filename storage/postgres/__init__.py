"""Everything that is kept, in PostgreSQL: for several machines that share one memory.

Imported only where it is chosen; it needs the extra `scrubjay[postgres]`.
"""
