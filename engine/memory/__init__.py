"""What is brought back from earlier conversations."""
