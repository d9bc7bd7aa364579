"""What a model's outputs mean, by its task. docs/tasks.md. Nothing is imported from here alone."""
