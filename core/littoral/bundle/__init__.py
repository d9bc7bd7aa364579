"""What a release is, and how its bytes travel. No numpy, no network."""
