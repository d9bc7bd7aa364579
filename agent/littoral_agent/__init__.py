"""The device's control plane: identity, channel, downloads, the update's life, telemetry.

It never parses a model file and holds no runtime: serve does, and the agent asks it.
"""
