"""LookAhead: threads that make the batches of an epoch in advance."""

from concurrent.futures import ThreadPoolExecutor


class LookAhead:
    """Makes the batches of an epoch ahead, in their order, at most `queue_size` of them at a time.

    Args:
        make: function from the number of a batch to the batch.
        epoch: number of the epoch.
        num_batches: number of batches in the epoch.
        workers: number of threads.
        queue_size: largest number of batches in the making or waiting, at least 1.
        first: number of the first batch.
    """

    def __init__(self, make, epoch, num_batches, workers, queue_size, first=0):
        self.epoch = epoch
        self._make = make
        self._num_batches = num_batches
        self._queue_size = queue_size
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="multibox")
        self._futures = {}
        self._next = first
        self._top_up()

    def take(self, batch):
        """Returns a batch and starts the next ones. A batch out of order is made at once."""
        future = self._futures.pop(batch, None)
        if future is None:
            return self._make(batch)
        self._top_up()
        return future.result()

    def close(self):
        """Drops waiting batches; returns when the batches in the making are done."""
        self._next = self._num_batches
        self._futures.clear()
        self._pool.shutdown(cancel_futures=True)

    def _top_up(self):
        while self._next < self._num_batches and len(self._futures) < self._queue_size:
            self._futures[self._next] = self._pool.submit(self._make, self._next)
            self._next += 1
