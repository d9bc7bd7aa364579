"""Real servers whose honesty a test controls."""
