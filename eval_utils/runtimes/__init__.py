"""The runtimes that run what `export` writes, one file each with a function `open_file`."""
