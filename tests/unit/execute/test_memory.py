import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from orchestrator.execute.memory import give_back_freed_pages, keep_freed_pages
if sys.argv[1] != "leave":
    assert keep_freed_pages()
for _ in range(64):
    torch.ones(16, 2**20)
if sys.argv[1] == "back":
    held = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 2**20
    before = held()
    give_back_freed_pages()
    print(before - held())
    sys.exit()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(16):
    torch.ones(16, 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def printed(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is a Linux one")
def test_a_large_tensor_reuses_the_pages_of_an_earlier_one():
    pages = 16 * 64 * 2**20 // resource.getpagesize()
    assert printed("leave") > 0.9 * pages
    assert printed("keep") < 0.1 * pages


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is a Linux one")
def test_pages_that_were_kept_are_given_back():
    assert printed("back") >= 60  # of a tensor of 64 MiB
