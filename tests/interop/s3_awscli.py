# SPDX-License-Identifier: Apache-2.0
"""Debian's awscli against our endpoint."""
import os
import pathlib
import urllib.request

import s3_lab

PEER = s3_lab.peer("awscli")
AWS = "/usr/bin/aws"  # another Python's awscli may come first in PATH


class AwsCli(s3_lab.EndpointCase):
    def aws(self, *words, **more):
        if not os.path.exists(AWS):
            self.skipTest("no /usr/bin/aws (Debian: awscli)")
        return self.call(AWS, "--endpoint-url", self.url, *words, env=self.env, **more)

    def test_sync_up_and_down(self):
        """upload (multipart too), listing, sync, download, delete"""
        up, down = self.tree(), self.folder / "down"
        self.aws("s3", "sync", up, "s3://things/tree")
        self.aws("s3", "sync", "s3://things/tree", down)
        self.same_trees(up, down)
        self.assertNotIn("upload:", self.aws("s3", "sync", up, "s3://things/tree"))
        self.assertIn("big", self.aws("s3", "ls", "--recursive", "s3://things/tree/"))
        self.aws("s3", "cp", "s3://things/tree/big", "s3://things/copied")
        self.aws("s3", "rm", "--recursive", "s3://things/tree")
        self.assertNotIn("tree", self.aws("s3", "ls", "s3://things/"))

    def test_buckets(self):
        """make, list and remove buckets"""
        self.aws("s3", "mb", "s3://made-here")
        self.assertIn("made-here", self.aws("s3", "ls"))
        self.aws("s3", "rb", "s3://made-here")

    def test_presigned(self):
        """presigned GET and PUT"""
        self.aws("s3", "cp", __file__, "s3://things/self")
        url = self.aws("s3", "presign", "s3://things/self").strip()
        self.assertEqual(urllib.request.urlopen(url).read(), pathlib.Path(__file__).read_bytes())
