"""What a bundle says for itself: where it is from, what is in it, how it compares, whose it is."""
