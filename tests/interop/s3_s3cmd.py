# SPDX-License-Identifier: Apache-2.0
"""s3cmd against our endpoint."""
import urllib.error
import urllib.request

import s3_lab

PEER = s3_lab.peer("s3cmd")


class S3cmd(s3_lab.EndpointCase):
    def s3cmd(self, *words):
        host = self.url.removeprefix("http://")
        (self.folder / "none").touch()
        return self.call(self.need("s3cmd", "s3cmd"), f"--config={self.folder}/none", "--no-ssl",
                         f"--host={host}", f"--host-bucket={host}", f"--access_key={self.key_id}",
                         f"--secret_key={self.secret}", "--no-progress", *words, env=self.env)

    def test_sync_up_and_down(self):
        """upload (multipart too), listing, sync, download, delete"""
        up, down = self.tree(), self.folder / "down"
        down.mkdir()
        self.s3cmd("sync", "--multipart-chunk-size-mb=5", f"{up}/", "s3://things/s3cmd/")
        self.s3cmd("sync", "s3://things/s3cmd/", f"{down}/")
        self.same_trees(up, down)
        self.assertIn("big", self.s3cmd("ls", "--recursive", "s3://things/s3cmd/"))
        self.s3cmd("del", "--recursive", "--force", "s3://things/s3cmd/")
        self.assertEqual(self.s3cmd("ls", "s3://things/s3cmd/").strip(), "")

    def test_presigned(self):
        """presigned GET"""
        file = self.folder / "file"
        file.write_bytes(b"there")
        self.s3cmd("put", file, "s3://things/signed")
        url = self.s3cmd("signurl", "s3://things/signed", "+60").strip()
        self.assertTrue(url.startswith("http"), url)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url)
        refused.exception.close()
        # s3cmd signs URLs the old way (version 2), which nobody should take any more.
        self.assertEqual(refused.exception.code, 400)

    def test_etags_are_compared(self):
        """checksums: what was changed is noticed, what was not is not sent"""
        file = self.folder / "up" / "file"
        file.parent.mkdir()
        file.write_bytes(b"one")
        self.s3cmd("sync", f"{file.parent}/", "s3://things/sums/")
        self.assertNotIn("upload:", self.s3cmd("sync", f"{file.parent}/", "s3://things/sums/"))
        file.write_bytes(b"two")
        self.assertIn("upload:", self.s3cmd("sync", "--check-md5", f"{file.parent}/", "s3://things/sums/"))
