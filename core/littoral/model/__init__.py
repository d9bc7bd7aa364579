"""What runs a model: the only floor of core that imports numpy or a runtime."""
