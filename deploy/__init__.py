"""What runs Barograph and watches it; the programs here make files that are checked in."""
