"""Where research looks: one file a source, behind `engine.research.sources.base.Source`."""
