import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from dvta.allocation import keep_freed_pages
if sys.argv[1] == "keep":
    assert keep_freed_pages()
for _ in range(64):
    torch.ones(16, 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(16):
    torch.ones(16, 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is a Linux one")
def test_a_large_tensor_reuses_the_pages_of_an_earlier_one():
    pages = 16 * 64 * 2**20 // resource.getpagesize()
    assert faults("leave") > 0.9 * pages
    assert faults("keep") < 0.1 * pages
