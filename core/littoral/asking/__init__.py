"""The ways in which littoral.client asks a serve: frames, and the Open Inference Protocol."""
