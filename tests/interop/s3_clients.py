#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Others' S3 clients against our endpoint: Debian's boto3, awscli, s3cmd, rclone.

usage: s3_clients.py --netstord PATH [unittest arguments]     a client that is not there is skipped
"""
import configparser
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

try:
    import boto3
    import botocore
    from botocore.config import Config
except ImportError:
    boto3 = None

MIB = 1 << 20
NETSTORD = None
AWS = "/usr/bin/aws"


def some_bytes(size, seed):
    return random.Random(seed).randbytes(size)


class Server:
    """netstord with one bucket, and what its clients have to know."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="s3-clients-"))
        state = self.folder / "state"
        with open(self.folder / "err", "wb") as errors:
            self.process = subprocess.Popen(
                [NETSTORD, "--state", state, "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0",
                 "--bucket", "things", "--shards", "2", "--json"], stdout=subprocess.PIPE, stderr=errors)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError((self.folder / "err").read_text())
        report = json.loads(line)
        self.url = report["s3"]["endpoints"][0]["url"]
        self.keys_file = report["s3"]["keys_file"]
        keys = configparser.RawConfigParser()
        keys.read(self.keys_file)
        self.key_id = keys["default"]["aws_access_key_id"]
        self.secret = keys["default"]["aws_secret_access_key"]

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "AWS_REGION": "us-east-1",
                "AWS_SHARED_CREDENTIALS_FILE": self.keys_file, "AWS_EC2_METADATA_DISABLED": "true"}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.process.stdout.close()
        shutil.rmtree(self.folder)
        return status


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, "netstord did not stop in order"

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.server.folder))

    def call(self, *words, check=True):
        done = subprocess.run([str(word) for word in words], env=self.server.environment(), timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def tree(self):
        """Files of many sizes, one of them for a multipart upload."""
        root = self.folder / "up"
        for i, (name, size) in enumerate([("empty", 0), ("one", 1), ("a/4k", 4096), ("a/b/c", 70_000),
                                          ("with blank", 10), ("ümlaut+plus", 11), ("big", 20 * MIB)]):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(some_bytes(size, i))
        return root

    def same_trees(self, one, other):
        def content(root):
            return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
                    for path in root.rglob("*") if path.is_file()}
        self.assertEqual(content(one), content(other))


@unittest.skipUnless(boto3, "boto3 is not installed (Debian: python3-boto3, for /usr/bin/python3)")
class Boto3(Case):
    def setUp(self):
        super().setUp()
        self.s3 = boto3.client("s3", endpoint_url=self.server.url, region_name="us-east-1",
                               aws_access_key_id=self.server.key_id,
                               aws_secret_access_key=self.server.secret,
                               config=Config(signature_version="s3v4", s3={"addressing_style": "path"},
                                             retries={"max_attempts": 0}))
        self.addCleanup(self.s3.close)

    def test_objects(self):
        for size in (0, 1, 16384, 16385, MIB + 1):
            body = some_bytes(size, size)
            put = self.s3.put_object(Bucket="things", Key="o", Body=body, Metadata={"who": "me"})
            self.assertEqual(put["ETag"].strip('"'), hashlib.md5(body).hexdigest())
            got = self.s3.get_object(Bucket="things", Key="o")
            self.assertEqual(got["Body"].read(), body)
            self.assertEqual(got["Metadata"], {"who": "me"})

    def test_checksums(self):
        for algorithm in ("CRC32", "SHA1", "SHA256"):
            self.s3.put_object(Bucket="things", Key="sum", Body=b"bytes", ChecksumAlgorithm=algorithm)
            got = self.s3.get_object(Bucket="things", Key="sum", ChecksumMode="ENABLED")
            self.assertEqual(got["Body"].read(), b"bytes")
            self.assertIn("Checksum" + algorithm, got)

    def test_multipart_in_parallel(self):
        source, back = self.folder / "source", self.folder / "back"
        source.write_bytes(some_bytes(33 * MIB, 7))
        self.s3.upload_file(str(source), "things", "multi")
        self.assertTrue(self.s3.head_object(Bucket="things", Key="multi")["ETag"].endswith('-5"'))
        self.s3.download_file("things", "multi", str(back))
        self.assertEqual(source.read_bytes(), back.read_bytes())

    def test_pages_and_deletes(self):
        keys = [f"page/{i:03}" for i in range(25)] + ["page/<&>\u00fc "]
        for key in keys:
            self.s3.put_object(Bucket="things", Key=key, Body=b"")
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket="things", Prefix="page/", PaginationConfig={"PageSize": 7})
        listed = [each["Key"] for page in pages for each in page["Contents"]]
        self.assertEqual(listed, sorted(keys))
        gone = self.s3.delete_objects(Bucket="things", Delete={"Objects": [{"Key": key} for key in keys]})
        self.assertEqual(len(gone["Deleted"]), len(keys))
        self.assertEqual(self.s3.list_objects_v2(Bucket="things", Prefix="page/")["KeyCount"], 0)

    def test_versions_and_tags(self):
        self.s3.create_bucket(Bucket="versions")
        self.s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        first = self.s3.put_object(Bucket="versions", Key="v", Body=b"1", Tagging="a=b")["VersionId"]
        self.s3.put_object(Bucket="versions", Key="v", Body=b"2")
        self.s3.delete_object(Bucket="versions", Key="v")
        with self.assertRaises(self.s3.exceptions.NoSuchKey):
            self.s3.get_object(Bucket="versions", Key="v")
        old = self.s3.get_object(Bucket="versions", Key="v", VersionId=first)
        self.assertEqual(old["Body"].read(), b"1")
        tags = self.s3.get_object_tagging(Bucket="versions", Key="v", VersionId=first)["TagSet"]
        self.assertEqual(tags, [{"Key": "a", "Value": "b"}])
        listed = self.s3.list_object_versions(Bucket="versions")
        self.assertEqual((len(listed["Versions"]), len(listed["DeleteMarkers"])), (2, 1))

    def test_presigned(self):
        def url(verb, seconds=60):
            return self.s3.generate_presigned_url(verb, Params={"Bucket": "things", "Key": "signed url"},
                                                  ExpiresIn=seconds)
        put = urllib.request.Request(url("put_object"), data=b"there", method="PUT")
        put.add_header("Content-Type", "")
        self.assertEqual(urllib.request.urlopen(put).status, 200)
        get = url("get_object")
        self.assertEqual(urllib.request.urlopen(get).read(), b"there")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(get.replace("signed%20url", "other"))
        self.assertEqual(refused.exception.code, 403)
        refused.exception.close()


@unittest.skipUnless(os.path.exists(AWS), "awscli is not installed (Debian: awscli)")
class AwsCli(Case):
    def aws(self, *words, **more):
        return self.call(AWS, "--endpoint-url", self.server.url, *words, **more)

    def test_sync_up_and_down(self):
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
        self.aws("s3", "mb", "s3://made-here")
        self.assertIn("made-here", self.aws("s3", "ls"))
        self.aws("s3", "rb", "s3://made-here")

    def test_presigned(self):
        self.aws("s3", "cp", __file__, "s3://things/self")
        url = self.aws("s3", "presign", "s3://things/self").strip()
        self.assertEqual(urllib.request.urlopen(url).read(), pathlib.Path(__file__).read_bytes())


@unittest.skipUnless(shutil.which("s3cmd"), "s3cmd is not installed (Debian: s3cmd)")
class S3cmd(Case):
    def s3cmd(self, *words):
        host = self.server.url.removeprefix("http://")
        return self.call("s3cmd", f"--config={self.server.folder}/none", "--no-ssl", f"--host={host}",
                         f"--host-bucket={host}", f"--access_key={self.server.key_id}",
                         f"--secret_key={self.server.secret}", "--no-progress", *words)

    def test_sync_up_and_down(self):
        (self.server.folder / "none").touch()
        up, down = self.tree(), self.folder / "down"
        down.mkdir()
        self.s3cmd("sync", "--multipart-chunk-size-mb=5", f"{up}/", "s3://things/s3cmd/")
        self.s3cmd("sync", "s3://things/s3cmd/", f"{down}/")
        self.same_trees(up, down)
        self.assertIn("big", self.s3cmd("ls", "--recursive", "s3://things/s3cmd/"))
        self.s3cmd("del", "--recursive", "--force", "s3://things/s3cmd/")
        self.assertEqual(self.s3cmd("ls", "s3://things/s3cmd/").strip(), "")


@unittest.skipUnless(shutil.which("rclone"), "rclone is not installed (Debian: rclone)")
class Rclone(Case):
    def rclone(self, *words):
        remote = (f":s3,provider=Other,env_auth=false,access_key_id={self.server.key_id},"
                  f"secret_access_key={self.server.secret},endpoint='{self.server.url}':")
        return self.call("rclone", "--retries=1", *(str(word).replace("REMOTE:", remote) for word in words))

    def test_sync_up_and_down(self):
        up, down = self.tree(), self.folder / "down"
        self.rclone("sync", up, "REMOTE:things/rclone", "--s3-upload-cutoff=6M")
        self.rclone("check", up, "REMOTE:things/rclone")
        self.rclone("copy", "REMOTE:things/rclone", down)
        self.same_trees(up, down)
        self.rclone("purge", "REMOTE:things/rclone")
        self.assertNotIn("rclone/", self.rclone("lsf", "REMOTE:things").splitlines())


if __name__ == "__main__":
    if "--netstord" not in sys.argv:
        sys.exit(__doc__)
    at = sys.argv.index("--netstord")
    NETSTORD = sys.argv[at + 1]
    del sys.argv[at:at + 2]
    unittest.main(verbosity=2)
