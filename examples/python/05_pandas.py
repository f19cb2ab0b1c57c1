#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pandas, and whatever else speaks fsspec, on a bucket by its URI.

usage: 05_pandas.py s3://BUCKET
"""
import sys

import fsspec
import pandas

import netstor.fs

netstor.fs.register()  # not needed where the package was installed by pip
table = "netstor+" + sys.argv[1] + "/tables/people.csv"

pandas.DataFrame({"name": ["Ada", "Grace", "Edsger"], "born": [1815, 1906, 1930]}).to_csv(table, index=False)
people = pandas.read_csv(table)
print(people[people.born > 1900].to_string(index=False))

files = fsspec.filesystem("netstor+s3")
print(files.ls(sys.argv[1].removeprefix("s3://") + "/tables", detail=False))
