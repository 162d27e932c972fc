"""Documents from where they are written, to ``barograph.documents``.

A source (``base``) is one class in one file; the runner gives each a task, publishes what it reads
and keeps its cursor once Kafka has acknowledged. ``docs/feeds.md`` walks through writing one.
"""
