"""The models: one interface, and the places where they run."""
