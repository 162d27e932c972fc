"""``make bench``: run all benchmarks, each of which writes its figures to ``results/``."""

from benchmarks import spine

if __name__ == "__main__":
    spine.main()
