"""gRPC as serve speaks it: two services' messages, what they answer, the listener."""
