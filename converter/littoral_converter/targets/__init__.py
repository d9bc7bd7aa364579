"""What a conversion can be for beside CPU and Edge TPU: Jetsons, servers, browsers, phones."""
