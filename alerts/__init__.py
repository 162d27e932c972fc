"""Windows in, alerts and webhooks out: the detector, the record of it, and its delivery."""
