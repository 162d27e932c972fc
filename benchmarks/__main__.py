"""``make bench``: run all benchmarks, each of which writes its figures to ``results/``."""

from benchmarks import calibration, delivery, novelty, sizes, spikes, spine, watchlist

if __name__ == "__main__":
    spine.main()
    delivery.main([])
    spikes.main([])
    calibration.main([])
    novelty.main([])
    watchlist.main()
    sizes.main()
