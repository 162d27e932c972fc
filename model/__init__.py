"""Text in, scores out: labels, training, and serving of the sentiment and topic classifier."""
