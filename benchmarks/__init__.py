"""What Barograph measures of itself; ``python -m benchmarks`` runs everything."""
