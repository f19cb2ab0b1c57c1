#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# repeat.sh SIMULATE: passes when two processes say the same of the same seeds, digests of the traces
# included.
first=$("$1" --seed 1 --seeds 20 --verbose) && second=$("$1" --seed 1 --seeds 20 --verbose) || exit 1
# The last but one line tells the real time, which is nobody's to repeat.
first=$(echo "$first" | grep -v 'of simulated time')
second=$(echo "$second" | grep -v 'of simulated time')
if [ "$first" != "$second" ]; then
  echo "repeat: FAILED: the same seeds gave another run"
  echo "$first" >&2
  echo "$second" >&2
  exit 1
fi
echo "$first" | grep -c digest
