"""The releases that answer, the queue before each, and what runs them. Knows no protocol."""
