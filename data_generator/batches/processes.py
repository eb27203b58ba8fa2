"""ProcessPool: processes that make batches and return them in shared memory."""

import multiprocessing.connection
import os
import pickle
import queue
import signal
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np

_worker = {}  # in a worker process: its maker and its slots


class ProcessPool:
    """Runs `SampleMaker.fill` in worker processes.

    The shared memory has one slot for each worker. A worker receives the records of a batch, and writes
    images and targets into a free slot. Pickling these arrays would cost more than making them.

    Args:
        maker: a `SampleMaker` that can be pickled.
        workers: number of processes.
        batch_size: largest number of samples in a batch.
    """

    def __init__(self, maker, workers, batch_size):
        context = multiprocessing.get_context()
        self._layout = _layout(maker, batch_size)
        size = sum(_num_bytes(*part) for part in self._layout)
        # An anonymous block is freed when the last process ends, and leaves no name behind.
        memory = context.RawArray("B", workers * size)
        self._slots = _slots(memory, workers, self._layout)
        self._free = queue.SimpleQueue()
        for slot in range(workers):
            self._free.put(slot)
        arguments = (maker, memory, workers, self._layout)
        self._pool = ProcessPoolExecutor(workers, context, _start_worker, arguments)
        with warnings.catch_warnings():
            # Python and JAX warn when a process with several threads forks: the child may inherit locks that
            # are never released. The workers run only NumPy and OpenCV, and none is started from a thread.
            warnings.filterwarnings("ignore", message=".*fork.*")
            self._pool.submit(os.getpid).result()

    def close(self):
        """Ends the workers when their current batches are done."""
        self._pool.shutdown(cancel_futures=True)

    def fill(self, records, keys, images, targets):
        """As `SampleMaker.fill`; waits for a free worker, and may be called by several threads.

        Raises:
            TypeError: for a record that cannot be sent to another process.
        """
        slot = self._free.get()
        try:
            done = self._pool.submit(_fill, slot, _pickled(records), keys).result()
            for shared, own in zip(self._slots[slot], (images, targets), strict=False):
                own[:] = shared[: len(records)]
        finally:
            self._free.put(slot)
        return done


def _layout(maker, batch_size):
    """(shape, dtype) of the images and, with an encoder, of the targets of a batch."""
    images = ((batch_size, *maker.transform.image_size, maker.channels), np.dtype(np.uint8))
    if maker.encoder is None:
        return (images,)
    return images, ((batch_size, *maker.encoder.target_shape), np.dtype(np.float32))


def _num_bytes(shape, dtype):
    return (
        -(-int(np.prod(shape)) * dtype.itemsize // 64) * 64
    )  # aligned for the float32 array that may follow


def _slots(memory, count, layout):
    """For each slot a list of its arrays, which share `memory`."""
    flat, at, slots = np.frombuffer(memory, np.uint8), 0, []
    for _ in range(count):
        slots.append([])
        for shape, dtype in layout:
            size = int(np.prod(shape)) * dtype.itemsize
            slots[-1].append(flat[at : at + size].view(dtype).reshape(shape))
            at += _num_bytes(shape, dtype)
    return slots


def _pickled(records):
    # Pickled here: an error in the pool's own thread would not name the record.
    try:
        return pickle.dumps(records)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"DataGenerator: {records[0].image_id} or another image of its batch cannot be sent to a process "
            f"({error}); use functions defined in a module for images, or threads"
        ) from error


def _start_worker(maker, memory, count, layout):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles interrupts
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker["maker"] = maker
    _worker["slots"] = _slots(memory, count, layout)


def _end_with_parent():
    """Ends the worker when the main process has ended, even if it was killed."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _fill(slot, records, keys):
    images, *targets = _worker["slots"][slot]
    return _worker["maker"].fill(pickle.loads(records), keys, images, targets[0] if targets else None)
