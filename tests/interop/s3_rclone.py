# SPDX-License-Identifier: Apache-2.0
"""rclone against our endpoint."""
import urllib.request

import s3_lab
from s3_lab import some_bytes

PEER = s3_lab.peer("rclone")


class Rclone(s3_lab.EndpointCase):
    def rclone(self, *words, seconds=120):
        remote = (f":s3,provider=Other,env_auth=false,access_key_id={self.key_id},"
                  f"secret_access_key={self.secret},endpoint='{self.url}':")
        return self.call(self.need("rclone", "rclone"), "--retries=1",
                         *(str(word).replace("REMOTE:", remote) for word in words), env=self.env,
                         seconds=seconds)

    def test_sync_up_and_down(self):
        """upload (multipart too), listing, sync, download, delete"""
        up, down = self.tree(), self.folder / "down"
        self.rclone("sync", up, "REMOTE:things/rclone", "--s3-upload-cutoff=6M")
        self.rclone("check", up, "REMOTE:things/rclone")
        self.rclone("copy", "REMOTE:things/rclone", down)
        self.same_trees(up, down)
        self.rclone("purge", "REMOTE:things/rclone")
        self.assertNotIn("rclone/", self.rclone("lsf", "REMOTE:things").splitlines())

    def test_presigned(self):
        """presigned GET"""
        (self.folder / "one").write_bytes(b"there")
        self.rclone("copyto", self.folder / "one", "REMOTE:things/signed url")
        url = self.rclone("link", "--expire=60s", "REMOTE:things/signed url").strip().splitlines()[-1]
        self.assertEqual(urllib.request.urlopen(url).read(), b"there")

    def test_every_byte_is_checked(self):
        """checksums: check --download, and hashes of what went in one request"""
        up = self.folder / "up"
        up.mkdir()
        for i in range(20):
            (up / f"file {i}").write_bytes(some_bytes(i * 1000, i))
        self.rclone("copy", up, "REMOTE:things/checked")
        self.rclone("check", "--download", up, "REMOTE:things/checked")
        self.assertEqual(self.rclone("md5sum", "REMOTE:things/checked").count("  file "), 20)
