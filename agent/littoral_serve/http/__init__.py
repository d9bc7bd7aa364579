"""HTTP/1.1 as serve speaks it: listeners, connections, who may call. Knows no model."""
