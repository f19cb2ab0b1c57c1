#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# canary.sh SIMULATE DEFECT: passes when the simulator finds the planted defect: exit status 1, and the words
# that belong to it. A crash, or a complaint about something else, is no find.
case $2 in
  acknowledge-before-store) words='holds (version|garbage)' ;;
  ignore-flush) words='holds version' ;;
  misplace) words='holds (version|garbage)' ;;
  complete-twice) words='completed an operation twice' ;;
  forget) words='not given back: |never answered: ' ;;
  *) echo "canary: no such defect: $2" && exit 2 ;;
esac
said=$("$1" --break "$2" --seed 1 --seeds 100)
status=$?
echo "$said" | tail -3
if [ $status -ne 1 ]; then
  echo "canary: FAILED: with the defect $2 the simulator ended with $status instead of 1"
  exit 1
fi
if ! echo "$said" | grep -Eq "^seed [0-9]+: .*($words)"; then
  echo "canary: FAILED: the simulator failed with the defect $2, but not in the words: $words"
  exit 1
fi
