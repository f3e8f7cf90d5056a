"""The subjects of `benchmark.py`, one file each; `timing.py` is what they share, `pysot_ways.py` and `seed_ways.py` what they
compare with.

A subject is a module with

    add_arguments(parser)       its options; an option of two subjects means the same in both
    missing(args) -> str        what it lacks to run, '' for nothing
    run(args, folder) -> list   measures, prints, and returns the rows of `timing.compare`; files go to a temporary folder
"""

SUBJECTS = ('loader', 'store', 'pack', 'step', 'track', 'gpu', 'metrics')
