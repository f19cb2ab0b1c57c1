#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stream a checkpoint out, and read it back: it is there whole, or not at all.

usage: 03_checkpoint.py s3://BUCKET
"""
import sys

import numpy

import netstor

LAYERS = {f"layer{i}": numpy.random.default_rng(i).standard_normal((512, 1024)) for i in range(8)}

with netstor.open_bucket(sys.argv[1]) as bucket:
    # A writer is a binary file: numpy.save, torch.save, pickle.dump write into it. Parts leave meanwhile.
    with bucket.open_writer("checkpoint/step-1") as out:
        for layer in LAYERS.values():
            numpy.lib.format.write_array(out, layer, allow_pickle=False)
    print(f"written: {out.info.size >> 20} MiB")

    try:
        with bucket.open_writer("checkpoint/step-2") as out:
            out.write(b"half of it")
            raise RuntimeError("the node is lost")
    except RuntimeError:
        pass
    assert [info.key for info in bucket.list("checkpoint/")] == ["checkpoint/step-1"]

    with bucket.open_reader("checkpoint/step-1") as source:
        for name, layer in LAYERS.items():
            assert (numpy.lib.format.read_array(source, allow_pickle=False) == layer).all(), name
    print(f"read back: {len(LAYERS)} layers are the same")
