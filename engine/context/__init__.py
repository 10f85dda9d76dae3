"""What a model is shown: token counts, and the packing of a turn's context into its window."""
