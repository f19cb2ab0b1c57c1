# SPDX-License-Identifier: Apache-2.0
"""Our client against radosgw, Ceph's S3 gateway: a monitor, an OSD in memory and a gateway on loopback."""
import os
import urllib.request
import uuid

import lab
import s3_lab
from s3_lab import MIB, some_bytes

PEER = s3_lab.peer("radosgw")
SETTINGS = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0]
mon initial members = a
public network = 127.0.0.0/8
mon warn on insecure global id reclaim allowed = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
osd objectstore = memstore
memstore device bytes = 2147483648
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
keyring = {folder}/keyring
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


class Radosgw(s3_lab.ServiceCase):
    key_id, secret = "NETSTORKEY0123456789", "secret-of-the-test-0123456789"

    def setUp(self):
        super().setUp()
        for program, package in (("ceph-mon", "ceph-mon"), ("ceph-osd", "ceph-osd"), ("radosgw", "radosgw"),
                                 ("ceph", "ceph-common"), ("monmaptool", "ceph-common")):
            self.need(program, package)
        fsid, port, monitor = str(uuid.uuid4()), s3_lab.free_port(), s3_lab.free_port()
        conf = self.folder / "ceph.conf"
        conf.write_text(SETTINGS.format(folder=self.folder, fsid=fsid, port=port, mon=monitor))
        for name in ("mon", "osd", "rgw"):
            (self.folder / name).mkdir()
        self.env = {**os.environ, "CEPH_CONF": str(conf)}
        with_conf = ["-c", conf]
        keyring = self.folder / "keyring"
        for name in ("mon.", "client.admin", "osd.0"):
            caps = [word for daemon in ("mon", "osd", "mgr") for word in ("--cap", daemon, "allow *")]
            make = [] if keyring.exists() else ["--create-keyring"]
            self.call("ceph-authtool", keyring, *make, "--gen-key", "-n", name, *caps)
        self.call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{monitor}]",
                  self.folder / "monmap")
        self.call("ceph-mon", *with_conf, "--mkfs", "-i", "a", "--monmap", self.folder / "monmap",
                  "--keyring", keyring)
        self.daemon("ceph-mon", "a", conf)
        s3_lab.wait_for(lambda: s3_lab.answers(monitor), "ceph-mon")
        osd_id = str(uuid.uuid4())
        self.call("ceph", *with_conf, "osd", "new", osd_id, env=self.env)
        self.call("ceph-osd", *with_conf, "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        self.daemon("ceph-osd", "0", conf)
        self.call("radosgw-admin", *with_conf, "user", "create", "--uid=test", "--display-name=test",
                  f"--access-key={self.key_id}", f"--secret={self.secret}", seconds=200)
        gateway = self.daemon("radosgw", "client.admin", conf)
        s3_lab.wait_for(lambda: s3_lab.answers(port), "radosgw", gateway, 120)
        self.endpoint = f"http://127.0.0.1:{port}"

    def daemon(self, program, name, conf):
        which = ["-n", name] if program == "radosgw" else ["-i", name]
        return self.enterContext(s3_lab.running([program, "-f", "-c", conf, *which], self.folder / "log"))

    @lab.long_test
    def test_everything(self):
        """buckets, trees (multipart too), listing, sync, copy, delete, presigned URLs, checksums"""
        self.netstor("mb", "s3://things")
        self.assertIn("things", self.netstor("ls"))
        self.trees_and_listing("s3://things")
        file = self.folder / "file"
        file.write_bytes(some_bytes(30 * MIB, 3))
        self.netstor("cp", file, "s3://things/file", "--verify")
        url = self.netstor("presign", "s3://things/file").strip()
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(answer.read(), file.read_bytes())
        for i in range(30):
            (self.folder / "many").mkdir(exist_ok=True)
            (self.folder / f"many/<&> {i:02}").write_bytes(b"")
        self.netstor("cp", "-r", self.folder / "many", "s3://things/many")
        self.assertEqual(len(self.keys("s3://things/many/")), 30)
        self.assertIn("HTTP 404", self.netstor("cat", "s3://things/none", check=False))
        self.secret = "wrong"
        self.assertIn("SignatureDoesNotMatch", self.netstor("ls", "s3://things/", check=False))
        self.secret = type(self).secret
        self.netstor("rb", "s3://things", "--force")
        self.assertNotIn("things", self.netstor("ls"))
