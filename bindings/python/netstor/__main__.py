# SPDX-License-Identifier: Apache-2.0
"""python -m netstor: what this build can do on this machine, and why not."""
import netstor


def main():
    """Prints it."""
    print(f"netstor {netstor.__version__}")
    for name, available, reason in netstor.capabilities():
        print(f"  {name:24} {'yes' if available else 'no':4} {reason}".rstrip())


if __name__ == "__main__":
    main()
