"""Documents in, windows out: the way of a document from Kafka to an alert."""
