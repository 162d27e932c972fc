"""Changes to the SQL tables, in order; ``alerts.schema.upgrade`` applies them."""
