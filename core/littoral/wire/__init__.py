"""What is said: device and console, agent and serve, before and after a power cut."""
