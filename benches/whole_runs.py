"""One prepared script, and the same by eval: prints the nanoseconds of one run of each."""

import sys
from timeit import repeat

import moonkv

runs, source = int(sys.argv[1]), sys.argv[2]
engine = moonkv.Engine()
script = engine.prepare(source)
keys = [b"user:1000"]
prepared = min(repeat(lambda: script(keys), number=runs, repeat=40)) / runs * 1e9
plain = min(repeat(lambda: engine.eval(source, keys), number=runs, repeat=40)) / runs * 1e9
print(f"{prepared:.1f} {plain:.1f}")
