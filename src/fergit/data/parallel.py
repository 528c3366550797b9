"""Work spread over the processor's cores, in order and within bounded memory."""

import collections
from concurrent.futures import ThreadPoolExecutor

from fergit.core.parallel import cores


def ordered_map(function, items, ahead=4):
    """Yield ``function(item)`` for each item, in order, computed by threads.

    Threads pay where the work is done outside Python's lock, as in NumPy, OpenCV and the decompressors. At most
    ``ahead`` items a core wait, so that reading the items cannot outrun the work.
    """
    waiting = collections.deque()
    executor = ThreadPoolExecutor(cores())
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > ahead * cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
