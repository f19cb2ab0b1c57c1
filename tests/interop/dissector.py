# SPDX-License-Identifier: Apache-2.0
"""Wireshark's NVMe/TCP dissector, by tshark, on connections of ours: each PDU has its name, none is
malformed. Runs on the host, or where the host may not capture, not at all."""
import collections
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import lab
from lab import MIB, call

PEER = lab.Peer("Wireshark's dissector", "tools", where="host")
# NVMe/TCP 1.0, "PDU types": those of a connection that goes well.
NAMES = {"0": "ICReq", "1": "ICResp", "4": "CapsuleCmd", "5": "CapsuleResp", "6": "H2CData", "7": "C2HData",
         "9": "R2T"}


class Dissected(unittest.TestCase):
    def setUp(self):
        if not shutil.which("tshark") or not shutil.which("dumpcap"):
            self.skipTest("tshark is not installed (Debian: tshark)")
        kept = tempfile.TemporaryDirectory(prefix="netstor-dissector-")
        self.addCleanup(kept.cleanup)
        self.folder = pathlib.Path(kept.name)
        self.server = lab.Server(self.folder / "netstord", "--volume", "v=32MiB,store=memory").start()
        self.addCleanup(self.server.stop)
        self.capture = self.folder / "capture.pcap"

    def start_capture(self):
        """dumpcap from the moment that it says so; its buffer in MiB holds all that a test sends."""
        child = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-B", "64", "-P", "-w", str(self.capture),
                                  "-f", f"tcp port {self.server.port}"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in child.stderr:
            said.append(line)
            if line.startswith("File:"):
                return child
        child.wait()
        child.stderr.close()
        return self.skipTest(f"no capture on the loopback here: {' '.join(said).strip()}")

    def end_capture(self, child):
        # What was captured reaches the file in pieces; it is all there when the last connection's end is.
        lab.wait_for("the capture has the end of the connections", self._has_the_end)
        child.send_signal(signal.SIGINT)
        said = child.stderr.read()
        child.wait(30)
        child.stderr.close()
        self.assertRegex(said, r"received/dropped on interface .*: \d+/0 ", "the capture is not whole")

    def _has_the_end(self):
        if not self.capture.exists():
            return False
        opened = self.tshark("tcp.flags.syn == 1 && tcp.flags.ack == 0", "tcp.stream")
        closed = self.tshark("tcp.flags.fin == 1 || tcp.flags.reset == 1", "tcp.stream")
        return opened and set(opened) <= set(closed)

    def tshark(self, display, *fields, ok=None):
        # Two passes: only the second knows in which frame a PDU of many segments ends.
        words = ["tshark", "-n", "-2", "-r", self.capture, "-d", f"tcp.port=={self.server.port},nvme-tcp",
                 "-o", "tcp.desegment_tcp_streams:TRUE",
                 # Two cores hand their packets to the capture in no order.
                 "-o", "tcp.reassemble_out_of_order:TRUE", "-Y", display, "-T", "fields"]
        for field in fields:
            words += ["-e", field]
        return call(*words, ok=ok).out.split("\n")[:-1]

    def _dissect(self, *options, wanted):
        child = self.start_capture()
        tool = lab.programs()[1]
        uri = f"nvme+tcp://127.0.0.1:{self.server.port}/{lab.NQN}:v"
        source = lab.random_file(self.folder / "source", 2 * MIB)
        call(tool, "discover", f"nvme+tcp://127.0.0.1:{self.server.port}", *options)
        call(tool, "cp", source, uri, "--verify", *options)
        small = lab.random_file(self.folder / "small", 8192)
        call(tool, "write", uri, "--fua", "--offset", "512KiB", "-i", small, *options)
        self.end_capture(child)
        malformed = self.tshark("_ws.malformed || _ws.expert.severity == 0x800000", "frame.number",
                                "_ws.expert.message", ok=True)
        self.assertEqual(malformed, [])
        seen = collections.Counter(value for line in self.tshark("nvme-tcp", "nvme-tcp.type", ok=True)
                                   for value in line.split(","))
        self.assertEqual(set(seen) - set(NAMES), set(), seen)
        self.assertLessEqual({NAMES[value] for value in wanted}, {NAMES[value] for value in seen}, seen)
        # Whatever carries payload on this port was taken for NVMe/TCP, or is a part of such a PDU.
        loose = self.tshark("tcp.len > 0 && !nvme-tcp && !tcp.reassembled_in && !tcp.segment", "frame.number",
                            ok=True)
        self.assertEqual(loose, [])
        self.assertEqual(seen["0"], seen["1"])

    def test_plain(self):
        """every PDU of discovery, reads and writes is named, none is malformed"""
        self._dissect(wanted="0145679")

    def test_digests(self):
        """the same with header and data digests"""
        self._dissect("--digests", wanted="0145679")
